import { FileSystem, Path } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { ServiceDocument } from "../../src/cli/Documents.ts"
import { failure, greetModule, makeHome, running, service, smithers } from "./Smithers.ts"

layer(NodeContext.layer, { excludeTestServices: true })("serve", (it) => {
  it.scoped("on a fresh home it says where the console and the admin token are, and serves", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const home = yield* makeHome
      const env = { SMITHERS_HOME: `${home}/new`, SMITHERS_PORT: "0", SMITHERS_WORKFLOWS: greetModule }
      const process = yield* running([], env)
      const said = yield* process.until("Stop it with")
      const [, url] = /(http:\/\/127\.0\.0\.1:\d+)\/console/.exec(said) ?? []
      assert.include(said, `${home}/new/admin-token`)
      assert.match(said, /Workflows\s+double, greet, insult/)
      assert.include(said, `process ${process.pid}`)
      const answer = yield* Effect.promise(() => fetch(`${url}/health`))
      assert.strictEqual(answer.status, 200)
      assert.strictEqual((yield* fs.readFileString(`${home}/new/address`)).trim(), url)
      assert.strictEqual((yield* fs.stat(`${home}/new/admin-token`)).mode & 0o777, 0o600)
    }))

  it.scoped("a second one on the same home is refused, naming the process that has it", () =>
    Effect.gen(function*() {
      const home = yield* makeHome
      const first = yield* service(home)
      const second = yield* smithers(["serve"], { ...first.env, SMITHERS_PORT: "0" })
      assert.strictEqual(second.code, 6)
      assert.strictEqual(second.stdout, "")
      assert.match(second.stderr, new RegExp(`^.* is in use by process ${first.pid} .*Stop it first.*\n$`))
    }))

  it.scoped("SIGTERM and SIGINT end it with 0 and leave the home free", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const home = yield* makeHome
      for (const signal of ["SIGTERM", "SIGINT"] as const) {
        const process = yield* service(home)
        yield* process.kill(signal)
        assert.strictEqual((yield* process.ended).code, 0, signal)
        assert.isFalse(yield* fs.exists(`${home}/address`))
      }
    }))

  it.scoped("a bad setting is named with its bound, and nothing is started", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const home = `${yield* makeHome}/untouched`
      const port = yield* smithers(["serve", "--json"], { SMITHERS_HOME: home, SMITHERS_PORT: "70000" })
      assert.strictEqual(port.code, 2)
      const error = yield* failure(port)
      assert.strictEqual(error.field, "SMITHERS_PORT")
      assert.match(error.message, /between 0 and 65535/)
      const synchronous = yield* smithers([], { SMITHERS_HOME: home, SMITHERS_SYNCHRONOUS: "maybe" })
      assert.strictEqual(synchronous.code, 2)
      assert.match(synchronous.stderr, /SMITHERS_SYNCHRONOUS.*full, normal/)
      assert.isFalse(yield* fs.exists(home))
    }))

  it.scoped("a host that others can reach is refused without TLS", () =>
    Effect.gen(function*() {
      const home = yield* makeHome
      const ended = yield* smithers([], { SMITHERS_HOME: home, SMITHERS_PORT: "0", SMITHERS_HOST: "0.0.0.0" })
      assert.strictEqual(ended.code, 2)
      assert.match(ended.stderr, /SMITHERS_INSECURE_BIND/)
    }))

  it.scoped("modules that do not work are named with the reason, the others are served", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const home = yield* makeHome
      const write = (name: string, text: string) =>
        Effect.as(fs.writeFileString(path.join(home, name), text), path.join(home, name))
      const files = yield* Effect.all([
        write("Syntax.ts", "export const layer ="),
        write("Import.ts", `import { missing } from "./missing.ts"\nexport const layer = missing`),
        write("Throws.js", `throw new Error("thrown at import")`),
        write("Shape.js", `export const layer = "no layer"`),
        write(
          "Start.ts",
          `import { Effect, Layer } from "effect"\nexport default Layer.effectDiscard(Effect.die("no start"))`
        )
      ])
      const { info } = yield* service(`${home}/home`, {
        SMITHERS_WORKFLOWS: [...files, path.join(home, "absent.ts"), greetModule].join(",")
      })
      assert.deepStrictEqual(info.workflows, ["double", "greet", "insult"])
      assert.deepStrictEqual(info.modules.loaded.map(({ file }) => file), [greetModule])
      assert.match(info.modules.loaded[0]!.revision, /^[0-9a-f]{64}$/)
      assert.isTrue(yield* fs.exists(`${home}/home/modules/${info.modules.loaded[0]!.revision}.mjs`))
      const reasons = info.modules.failed.map(({ detail, file, reason }) =>
        `${path.basename(file)} ${reason} ${detail}`
      )
      assert.deepStrictEqual(reasons.map((text) => text.split(" ").slice(0, 2).join(" ")), [
        "Syntax.ts Compile",
        "Import.ts Compile",
        "Throws.js Import",
        "Shape.js Shape",
        "Start.ts Start",
        "absent.ts Missing"
      ])
      assert.match(reasons[0]!, /Syntax\.ts:1:\d+: Unexpected end of file/)
      assert.match(reasons[1]!, /Could not resolve "\.\/missing\.ts"/)
      assert.match(reasons[2]!, /thrown at import/)
      assert.match(reasons[4]!, /no start/)
    }))

  it.scoped("without SMITHERS_WORKFLOWS the shipped examples are there", () =>
    Effect.gen(function*() {
      const home = yield* makeHome
      const process = yield* running(["serve", "--json"], { SMITHERS_HOME: home, SMITHERS_PORT: "0" })
      const { modules, workflows } = yield* Effect.flatMap(
        process.until("\n"),
        Schema.decode(Schema.parseJson(ServiceDocument))
      )
      assert.deepStrictEqual(modules.failed, [])
      assert.include(workflows, "release-notes")
    }))

  it.scoped("a module's own packages come from its own folder", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* makeHome
      yield* fs.makeDirectory(`${folder}/node_modules/words`, { recursive: true })
      yield* fs.writeFileString(
        `${folder}/node_modules/words/package.json`,
        `{"name":"words","type":"module","exports":{"import":"./words.js"}}`
      )
      yield* fs.writeFileString(`${folder}/node_modules/words/words.js`, `export const title = "spoken"`)
      yield* fs.writeFileString(
        `${folder}/module.ts`,
        `import { Effect, Schema } from "effect"
         import { Workflow } from "smithers-orchestrator/workflow"
         import { title } from "words"
         const Words = Workflow.make({ name: title, payload: {}, success: Schema.String, idempotencyKey: () => "" })
         export const layer = Words.toLayer(() => Effect.succeed(title))`
      )
      const { info } = yield* service(`${folder}/home`, { SMITHERS_WORKFLOWS: `${folder}/module.ts` })
      assert.deepStrictEqual(info.modules.failed, [])
      assert.deepStrictEqual(info.workflows, ["spoken"])
    }))
})
