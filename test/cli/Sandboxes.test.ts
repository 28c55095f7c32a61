import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { execFileSync } from "node:child_process"
import path from "node:path"
import {
  DecisionDocument,
  DiffDocument,
  ProofDocument,
  SandboxesDocument,
  ShowDocument
} from "../../src/cli/Documents.ts"
import { document, eventually, failure, makeHome, service, smithers } from "./Smithers.ts"

/** One service for all tests of this file, each with a run and files of its own. */
class Served extends Context.Tag("smithers-orchestrator/test/cli/Sandboxes.test/Served")<Served, {
  /** Waits until the events of a run say so. */
  readonly until: (runId: string, text: string) => Effect.Effect<string>
  readonly call: (...args: ReadonlyArray<string>) => ReturnType<typeof smithers>
  /** Executes a script on a copy of new files, until the run says so; answers the directory of the files. */
  readonly launched: (runId: string, script: string, until: string) => Effect.Effect<string>
}>() {}

const before = Array.from({ length: 30 }, (_, index) => `line ${index + 1}\n`).join("")

const served = Layer.scoped(
  Served,
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const home = yield* makeHome
    const { env } = yield* service(`${home}/home`, { SMITHERS_WORKFLOWS: path.resolve("test/cli/modules/box.ts") })
    const call = (...args: ReadonlyArray<string>) => smithers(args, env)
    return Served.of({
      call,
      until: (runId, text) => eventually(runId, text, env),
      launched: (runId, script, until) =>
        Effect.gen(function*() {
          const files = `${home}/files-${runId}`
          yield* Effect.orDie(fs.makeDirectory(files))
          yield* Effect.orDie(fs.writeFileString(`${files}/long.txt`, before))
          yield* Effect.orDie(fs.writeFileString(`${files}/old.txt`, "old\n"))
          const { code, stderr } = yield* call(
            "run",
            "box",
            "--run-id",
            runId,
            "--input",
            JSON.stringify({ files, script })
          )
          assert.strictEqual(code, 0, stderr)
          yield* eventually(runId, until, env)
          return files
        })
    })
  })
)

const script = "sed -i -e '2s/line/LINE/' -e '29s/line/LINE/' long.txt; rm old.txt; " +
  "printf 'new \\033[2J\\n' > new.txt; printf '\\0\\1\\2' > blob"

layer(Layer.provideMerge(served, NodeContext.layer), { excludeTestServices: true })("sandboxes", (it) => {
  it.effect("a review shows the files and their diffs with numbered hunks, and nothing that acts on the terminal", () =>
    Effect.gen(function*() {
      const { call, launched } = yield* Served
      yield* launched("review", script, "RunStatusChanged")
      const { stdout } = yield* call("show", "review")
      for (
        const text of [
          "4 changed files for ",
          "modify long.txt  +2 -2, 2 hunks",
          "hunk 1",
          "hunk 2",
          "-line 29\n+LINE 29",
          "delete old.txt  +0 -1, 1 hunk",
          "+new \\u{1b}[2J",
          "add blob\nBinary file. SHA-256 none before, ",
          "Accept a part: --accept <path>"
        ]
      ) {
        assert.include(stdout, text)
      }
      assert.notInclude(stdout, String.fromCharCode(27))
      assert.notInclude(stdout, "\"changeSet\"")
      const { approvals: [approval] } = yield* document(ShowDocument, yield* call("show", "review", "--json"))
      assert.hasAllKeys(approval?.payload, ["changeSet", "baseRef", "target", "files"])
    }))

  it.effect("approve --accept brings in the named files and hunks, and rejects the rest", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const { call, launched, until } = yield* Served
      const files = yield* launched("part", script, "RunStatusChanged")
      for (
        const [accept, says] of [
          [["nothing.txt"], "nothing.txt is not one of the changed files"],
          [["long.txt:3"], "long.txt has hunks 1 to 2"],
          [["long.txt:0"], "long.txt has hunks 1 to 2"],
          [["long.txt:1,1"], "long.txt has hunks 1 to 2"],
          [["blob:1"], "blob is accepted as a whole"],
          [["new.txt", "new.txt"], "names new.txt twice"]
        ] as const
      ) {
        const options = accept.flatMap((path) => ["--accept", path])
        const refused = yield* call("approve", "part", "edit:review", "--json", ...options)
        assert.strictEqual(refused.code, 2)
        const { field, message } = yield* failure(refused)
        assert.strictEqual(field, "--accept")
        assert.include(message, says)
      }
      assert.strictEqual((yield* call("deny", "part", "edit:review", "--accept", "new.txt")).code, 2)
      const accepted = ["--accept", "long.txt:2", "--accept", "blob", "--accept", "new.txt"]
      const decided = yield* call("approve", "part", "edit:review", "--json", ...accepted)
      assert.isTrue((yield* document(DecisionDocument, decided)).decision.approved)
      yield* until("part", "RunFinished")
      assert.strictEqual(yield* fs.readFileString(`${files}/long.txt`), before.replace("line 29", "LINE 29"))
      assert.strictEqual(yield* fs.readFileString(`${files}/old.txt`), "old\n")
      assert.deepStrictEqual([...yield* fs.readFile(`${files}/blob`)], [0, 1, 2])
      const events = (yield* call("events", "part")).stdout
      assert.include(events, "SandboxDiffAccepted   edit:apply  2 files accepted, 1 in part, 1 rejected")
    }))

  it.effect("approve without --accept brings in everything, deny nothing", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const { call, launched, until } = yield* Served
      const whole = yield* launched("whole", script, "RunStatusChanged")
      assert.strictEqual((yield* call("approve", "whole", "edit:review", "--yes")).code, 0)
      yield* until("whole", "RunFinished")
      assert.isFalse(yield* fs.exists(`${whole}/old.txt`))
      const none = yield* launched("none", script, "RunStatusChanged")
      assert.strictEqual((yield* call("deny", "none", "edit:review", "--note", "no need")).code, 0)
      yield* until("none", "RunFailed")
      assert.deepStrictEqual((yield* fs.readDirectory(none)).sort(), ["long.txt", "old.txt"])
      assert.match((yield* call("events", "none")).stdout, /SandboxDiffRejected {3}edit:rejected {2}by \S+: no need\n/)
    }))

  it.effect("diff writes what git applies to the base, for a node and for the run", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const { call, launched } = yield* Served
      const files = yield* launched("diff", "sed -i 2s/line/LINE/ long.txt; rm old.txt", "RunStatusChanged")
      const { code, stdout } = yield* call("diff", "diff", "edit")
      assert.strictEqual(code, 0)
      assert.strictEqual((yield* call("diff", "diff")).stdout, stdout)
      execFileSync("git", ["apply", "-"], { cwd: files, input: stdout })
      assert.strictEqual(yield* fs.readFileString(`${files}/long.txt`), before.replace("line 2\n", "LINE 2\n"))
      assert.isFalse(yield* fs.exists(`${files}/old.txt`))
      const diff = yield* document(DiffDocument, yield* call("diff", "diff", "edit", "--json"))
      assert.lengthOf("patches" in diff ? diff.patches : [], 2)
      assert.strictEqual((yield* call("diff", "diff", "edit:review")).code, 6)
      assert.strictEqual((yield* call("diff", "diff", "nothing")).code, 5)
      assert.strictEqual((yield* call("diff", "nobody")).code, 5)
    }))

  it.effect("sandbox list shows the attempts of a run, and events tell of them in words", () =>
    Effect.gen(function*() {
      const { call, launched } = yield* Served
      yield* launched("broken", "echo this; echo goes wrong; exit 3", "RunFailed")
      const { stdout } = yield* call("sandbox", "list", "broken")
      assert.match(
        stdout,
        /^SANDBOX +ATTEMPT +RUNTIME +STATUS +CONTROLS PROVED +CHANGED FILES +AGE +ERROR\nedit +1 +bubblewrap +failed/
      )
      const { sandboxes } = yield* document(SandboxesDocument, yield* call("sandbox", "list", "broken", "--json"))
      assert.deepStrictEqual(sandboxes.map(({ sandboxId, status }) => [sandboxId, status]), [["edit", "failed"]])
      const events = (yield* call("events", "broken")).stdout
      assert.match(events, /SandboxCreated {8}edit {2}bubblewrap, \d+ controls proved\n/)
      assert.match(events, /NodeOutput {12}edit {2}stdout: this \(and 1 more lines\)\n/)
      assert.match(events, /SandboxFailed {9}edit {2}ExitCode: it ended with code 3: this/)
      assert.strictEqual((yield* call("sandbox", "list", "nobody")).code, 5)
    }))

  it.effect("sandbox verify prints every control with what was seen, and fails when one that is asked for does not hold", () =>
    Effect.gen(function*() {
      const { call } = yield* Served
      const table = yield* call("sandbox", "verify")
      const proof = yield* document(
        ProofDocument,
        yield* call("sandbox", "verify", "--runtime", "bubblewrap", "--json")
      )
      const broken = proof.controls.filter(({ asked, enforced }) => asked && !enforced)
      assert.deepStrictEqual(broken, [])
      assert.strictEqual(table.code, 0)
      assert.match(table.stdout, /^bubblewrap, asked for everything:\nCONTROL +ASKED +ENFORCED +EVIDENCE\n/)
      for (const { control } of proof.controls) assert.match(table.stdout, new RegExp(`^${control} +yes +yes `, "m"))

      const open = yield* call("sandbox", "verify", "--runtime", "process")
      assert.strictEqual(open.code, 1)
      assert.match(open.stdout, /^files +no +NO /m)
      assert.match(open.stdout, /^memoryLimit +yes +NO +it isolates nothing\./m)
      assert.match(open.stderr, /^process does not enforce memoryLimit, /)
      assert.strictEqual((yield* call("sandbox", "verify", "--runtime", "jail")).code, 2)
      const missing = yield* call("sandbox", "verify", "--runtime", "remote", "--json")
      assert.deepStrictEqual([missing.code, (yield* failure(missing)).code], [1, "UnsupportedSandbox"])
    }))
})
