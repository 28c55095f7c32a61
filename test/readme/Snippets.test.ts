import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { RunDocument, ShowDocument } from "../../src/cli/Documents.ts"
import { document, documents, eventually, makeHome, service, smithers } from "../cli/Smithers.ts"
import { diagnostics, run } from "./support/Program.ts"
import { files, readme } from "./support/Readme.ts"

/** A service that has loaded a module of the README. */
const serving = Effect.fnUntraced(function*(name: string) {
  const fs = yield* FileSystem.FileSystem
  const home = yield* makeHome
  yield* fs.writeFileString(`${home}/${name}`, files.get(name) ?? "")
  const { env, info } = yield* service(`${home}/home`, { SMITHERS_WORKFLOWS: `${home}/${name}` })
  assert.deepStrictEqual(info.modules.failed, [])
  return { env, home, url: info.url, adminTokenFile: info.adminTokenFile ?? assert.fail("no admin token file") }
})

const succeeds = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>>) =>
  Effect.tap(smithers(args, env), ({ code, stderr }) => assert.strictEqual(code, 0, stderr))

layer(NodeContext.layer, { excludeTestServices: true })("the snippets of the README", (it) => {
  it("compile under the strictest of settings, our own", () => {
    assert.deepStrictEqual([...files.keys()].sort(), [
      "client.ts",
      "count-lines.ts",
      "embed.ts",
      "guide.ts",
      "tenants.ts",
      "tidy.ts"
    ])
    assert.deepStrictEqual(diagnostics(), [])
  }, 90_000)

  it.scoped(
    "count-lines.ts is a workflow that the service loads and finishes; client.ts launches it and follows",
    () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const { adminTokenFile, env, home, url } = yield* serving("count-lines.ts")
        const folder = `${home}/texts`
        yield* fs.makeDirectory(folder)
        yield* fs.writeFileString(`${folder}/a.md`, "one\ntwo\n")
        yield* fs.writeFileString(`${folder}/b.md`, "three\n")
        const input = `{"folder": "${folder}"}`
        yield* succeeds(["run", "count-lines", "--run-id", "lines", "--input", input], env)
        yield* eventually("lines", "RunStatusChanged", env)
        yield* succeeds(["approve", "lines", "publish", "--yes"], env)
        yield* eventually("lines", "RunFinished", env)
        const { nodes, run: { output } } = yield* Effect.flatMap(
          succeeds(["show", "lines", "--json"], env),
          (ended) => document(ShowDocument, ended)
        )
        assert.deepStrictEqual(output, { path: `${folder}/LINES.txt`, files: 2, lines: 3 })
        assert.deepStrictEqual(
          nodes.map(({ iteration, nodeId }) => `${nodeId} ${iteration}`).sort(),
          ["count 0", "count 1", "counts 0", "list 0", "publish 0", "write 0"]
        )
        assert.strictEqual(yield* fs.readFileString(`${folder}/LINES.txt`), "2 a.md\n1 b.md\n")

        const refused = yield* smithers([
          "run",
          "count-lines",
          "--input",
          `{"folder": "${home}/absent"}`,
          "-f",
          "--json"
        ], env)
        assert.strictEqual(refused.code, 1)
        const last = (yield* documents(RunDocument, refused)).at(-1)
        assert.deepInclude(last?.type === "ended" && last.run.error, { name: "FolderUnreadable", typed: true })

        const printed = yield* run("client.ts", home, {
          SMITHERS_URL: url,
          SMITHERS_TOKEN: (yield* fs.readFileString(adminTokenFile)).trim(),
          FOLDER: folder
        })
        const lines = printed.trim().split("\n")
        assert.deepStrictEqual(lines.map((line) => Number(line.split(" ")[0])), lines.map((_, index) => index + 1))
        assert.match(lines.at(-1) ?? "", /approval\.requested$/)
      }),
    120_000
  )

  it.scoped("guide.ts is one module that does what the guide says", () =>
    Effect.gen(function*() {
      const { env } = yield* serving("guide.ts")
      yield* succeeds(["run", "order", "--run-id", "order", "--input", `{"customer": "ada"}`], env)
      yield* eventually("order", "RunStatusChanged", env)
      yield* succeeds(["approve", "order", "accept", "--yes"], env)
      yield* eventually("order", "RunFinished", env)
      const { nodes, run: { output } } = yield* Effect.flatMap(
        succeeds(["show", "order", "--json"], env),
        (ended) => document(ShowDocument, ended)
      )
      assert.deepStrictEqual(output, { chargeId: "charge of 40 for order/charge/0" })
      assert.sameMembers(
        nodes.filter(({ parentNodeId }) => parentNodeId === "reminders").map(({ iteration, nodeId }) =>
          `${nodeId} ${iteration}`
        ),
        ["notify 0", "notify 1"]
      )
    }), 120_000)

  it.scoped(
    "tidy.ts is a workflow whose command works on a copy; what it changed comes back after a review",
    () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const { env, home } = yield* serving("tidy.ts")
        const folder = `${home}/texts`
        yield* fs.makeDirectory(folder)
        yield* fs.writeFileString(`${folder}/a.txt`, "one  \ntwo\t\n")
        yield* fs.writeFileString(`${folder}/b.txt`, "tidy\n")
        yield* succeeds(["run", "tidy", "--run-id", "tidy", "--input", `{"folder": "${folder}"}`], env)
        yield* eventually("tidy", "RunStatusChanged", env)
        assert.strictEqual(yield* fs.readFileString(`${folder}/a.txt`), "one  \ntwo\t\n")
        yield* succeeds(["approve", "tidy", "tidy:review", "--accept", "a.txt", "--yes"], env)
        yield* eventually("tidy", "RunFinished", env)
        const { run: { output } } = yield* Effect.flatMap(
          succeeds(["show", "tidy", "--json"], env),
          (ended) => document(ShowDocument, ended)
        )
        assert.deepStrictEqual(output, { files: 2 })
        assert.strictEqual(yield* fs.readFileString(`${folder}/a.txt`), "one\ntwo\n")
      }),
    120_000
  )

  for (const program of ["embed.ts", "tenants.ts"]) {
    it.scoped(`${program} is a program that prints what the README says`, () =>
      Effect.gen(function*() {
        const printed = yield* run(program, yield* makeHome, {})
        assert.include(readme, `It prints \`${printed.trim()}\`.`)
      }), 120_000)
  }
})
