import { assert, describe, it } from "vitest"
import { checkEffect, ownFindings } from "../../scripts/check-effect.ts"
import { isExempt } from "../../scripts/effect-rules.ts"
import { fixture } from "./fixture.ts"

const places = (findings: ReturnType<typeof ownFindings>) =>
  findings.map(({ file, line, rule }) => `${file}:${line} ${rule}`)

const own = (text: string, file = "src/engine/Engine.ts") => places(ownFindings(fixture({ [file]: text })))

describe("check:effect", () => {
  it("reports what the language service finds, with file, line and rule", () => {
    const findings = places(checkEffect(fixture({
      "src/engine/Engine.ts": [
        "import { Context, Effect } from \"effect\"",
        "import * as fs from \"node:fs\"",
        "export class Engine extends Context.Tag(\"wrong\")<Engine, { readonly a: number }>() {}",
        "export const now = () => Date.now()",
        "export const env = Effect.gen(function*() {",
        "  yield* Effect.void",
        "  console.log(fs.readFileSync(\"x\"))",
        "  return process.env.X",
        "})",
        "export const chance = () => Math.random()",
        ""
      ].join("\n")
    })))
    assert.sameMembers(findings, [
      "src/engine/Engine.ts:2 nodeBuiltinImport",
      "src/engine/Engine.ts:3 deterministicKeys",
      "src/engine/Engine.ts:4 globalDate",
      "src/engine/Engine.ts:7 globalConsoleInEffect",
      "src/engine/Engine.ts:8 processEnvInEffect",
      "src/engine/Engine.ts:10 globalRandom"
    ])
  })

  it("reports that an effect is run, however it is imported", () => {
    assert.deepStrictEqual(
      own("import { Effect } from \"effect\"\nimport { runSync } from \"effect/Effect\"\nEffect.runFork(x)\n"),
      ["src/engine/Engine.ts:2 effectRun", "src/engine/Engine.ts:3 effectRun"]
    )
  })

  it("reports try/catch and promises", () => {
    assert.deepStrictEqual(
      own([
        "try { f() } catch {}",
        "export const a = async () => 1",
        "p.then(f)",
        "p.catch(f)",
        "Promise.all([])",
        "new Promise(f)",
        ""
      ].join("\n")),
      ["1 tryCatch", "2 promise", "3 promise", "4 promise", "5 promise", "6 promise"]
        .map((place) => `src/engine/Engine.ts:${place}`)
    )
  })

  it("reports typed sql templates, withTransaction and disableValidation", () => {
    assert.deepStrictEqual(
      own("sql<Row>`SELECT 1`\nsql`SELECT 1`\nsql.withTransaction(f)\nRun.make(x, { disableValidation: true })\n"),
      ["1 sqlTemplateType", "3 withTransaction", "4 disableValidation"].map((place) => `src/engine/Engine.ts:${place}`)
    )
  })

  it("asks for the reason of a cast around the checker", () => {
    assert.deepStrictEqual(
      own([
        "const a = x as any",
        "const b = x as unknown as string",
        "",
        "// The driver types this too widely.",
        "const c = x as any",
        "const d = x as any // the driver types this too widely",
        "const e = x as string",
        ""
      ].join("\n")),
      ["src/engine/Engine.ts:1 uncheckedCast", "src/engine/Engine.ts:2 uncheckedCast"]
    )
  })

  it("asks for the reason of a directive that switches a check off", () => {
    assert.deepStrictEqual(
      own([
        "// @ts-ignore",
        "// @ts-expect-error the bad input is the point",
        "// eslint-disable-next-line no-empty",
        "// eslint-disable-next-line no-empty -- the list may be empty",
        "// @effect-diagnostics-next-line globalDate:off",
        "// @effect-diagnostics-next-line globalDate:off -- printed for people",
        ""
      ].join("\n")),
      [1, 3, 5].map((line) => `src/engine/Engine.ts:${line} directiveReason`)
    )
  })

  it("exempts an edge from the rules that its reason covers, and from no other", () => {
    assert.isTrue(isExempt("src/program.ts", "effectRun"))
    assert.isFalse(isExempt("src/program.ts", "uncheckedCast"))
    assert.isTrue(isExempt("src/console/App.tsx", "promise"))
    assert.isTrue(isExempt("src/persistence/internal/Database.ts", "withTransaction"))
    assert.isFalse(isExempt("src/engine/Engine.ts", "withTransaction"))
  })

  it("holds tests to the rules that their edge does not exempt", () => {
    assert.isFalse(isExempt("test/engine/Engine.test.ts", "effectRun"))
    assert.isTrue(isExempt("test/engine/Engine.test.ts", "tryCatch"))
  })
})
