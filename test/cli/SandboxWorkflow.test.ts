import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import path from "node:path"
import { ShowDocument } from "../../src/cli/Documents.ts"
import { document, eventually, makeHome, service, smithers } from "./Smithers.ts"

/** A service whose module lies in a folder of its own, with a package beside it. */
class Served extends Context.Tag("smithers-orchestrator/test/cli/SandboxWorkflow.test/Served")<Served, {
  readonly call: (...args: ReadonlyArray<string>) => ReturnType<typeof smithers>
  readonly until: (runId: string, text: string) => Effect.Effect<string>
  readonly home: string
  readonly port: number
}>() {}

const served = Layer.scoped(
  Served,
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const home = yield* makeHome
    // Packages that only we can read are none for the user of a sandbox.
    yield* fs.chmod(home, 0o755)
    const packages = `${home}/author/node_modules/shouting`
    yield* fs.makeDirectory(packages, { recursive: true })
    yield* fs.writeFileString(`${packages}/package.json`, `{"name":"shouting","type":"module","exports":"./index.js"}`)
    yield* fs.writeFileString(`${packages}/index.js`, `export const shout = (text) => text.toUpperCase()\n`)
    const text = yield* fs.readFileString(path.resolve("test/cli/modules/nested.ts"))
    yield* fs.writeFileString(
      `${home}/author/nested.ts`,
      `import { shout } from "shouting"\n${text.replace("return { word,", "return { word: shout(word),")}`
    )
    const { env, info } = yield* service(`${home}/home`, { SMITHERS_WORKFLOWS: `${home}/author/nested.ts` })
    return Served.of({
      home,
      port: Number(new URL(info.url).port),
      call: (...args) => smithers(args, env),
      until: (runId, text) => eventually(runId, text, env)
    })
  })
)

const decodeShown = (ended: Effect.Effect.Success<ReturnType<typeof smithers>>) => document(ShowDocument, ended)

/** Runs a workflow in a sandbox to the end of its run. */
const executed = (runId: string, workflow: string, input: unknown, runtime?: string) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const { call, home, until } = yield* Served
    const files = `${home}/files-${runId}`
    yield* Effect.orDie(fs.makeDirectory(files))
    yield* Effect.orDie(fs.writeFileString(`${files}/note.txt`, "first\n"))
    const launched = yield* call(
      ...["run", "outer", "--run-id", runId, "--input", JSON.stringify({ workflow, files, input, runtime })]
    )
    assert.strictEqual(launched.code, 0, launched.stderr)
    yield* until(runId, "RunF")
    const { run } = yield* decodeShown(yield* call("show", runId, "--json"))
    return { run, note: yield* Effect.orDie(fs.readFileString(`${files}/note.txt`)) }
  })

layer(Layer.provideMerge(served, NodeContext.layer), { timeout: "2 minutes", excludeTestServices: true })(
  "a workflow in a sandbox",
  (it) => {
    it.effect("it works in the copy of the files, with its own packages, and its result and changes come back", () =>
      Effect.gen(function*() {
        const { call, home, port } = yield* Served
        const input = { word: "second", hostFile: `${home}/home/smithers.db`, hostPort: port }
        const { note, run } = yield* executed("r1", "inner", input)
        assert.deepStrictEqual([run.error, run.output], [null, {
          word: "SECOND",
          file: "first\n",
          key: "12 chars",
          hostFile: false,
          hostPort: false
        }])
        assert.strictEqual(note, "first\nsecond\n")
        assert.match(
          (yield* call("events", "r1")).stdout,
          /SandboxCreated +cell {2}bubblewrap, \d+ controls proved, workflow inner\n/
        )
        const { stdout } = yield* call("events", "r1", "--json")
        assert.match(stdout, /"event":"SandboxCreated".*"workflow":"inner"/)
      }))

    it.effect("outside of one, the process runtime executes it without isolation", () =>
      Effect.gen(function*() {
        const { home, port } = yield* Served
        const input = { word: "second", hostFile: `${home}/files-r2/note.txt`, hostPort: port }
        const { run } = yield* executed("r2", "inner", input, "process")
        assert.isNull(run.error)
        assert.deepInclude(run.output, { file: "first\n", hostFile: true, hostPort: true })
      }))

    for (
      const [what, runId, workflow, input, reason, detail] of [
        [
          "a failure of its own",
          "f1",
          "inner",
          { word: "darn", hostFile: "", hostPort: 1 },
          "Reported",
          "it failed: Rude"
        ],
        ["an input that it does not take", "f2", "inner", { word: 1 }, "Reported", "word"],
        ["a question to somebody", "f3", "asks", {}, "Reported", "waits for an approval; nobody within a sandbox"],
        ["a sandbox of its own", "f4", "boxed", {}, "Reported", "there are no sandboxes within a sandbox"],
        ["not being there", "f5", "nothing", {}, "InvalidRequest", "workflow: there is no workflow nothing here"]
      ] as const
    ) {
      it.effect(`${what} fails the step with the reason, and nothing is applied`, () =>
        Effect.gen(function*() {
          const { note, run } = yield* executed(runId, workflow, input)
          assert.strictEqual(run.status, "failed")
          assert.deepInclude(run.error, { name: "SandboxFailed", typed: true })
          assert.include(run.error!.message, `(${reason})`)
          assert.include(run.error!.message, detail)
          assert.strictEqual(note, "first\n")
        }))
    }

    it.effect("a runtime without our node refuses it before anything runs", () =>
      Effect.gen(function*() {
        for (const runtime of ["docker", "remote"]) {
          const { run } = yield* executed(`n-${runtime}`, "asks", {}, runtime)
          assert.include(run.error!.message, `(NotEnforced): workflow: ${runtime} cannot run one`)
        }
      }))
  }
)
