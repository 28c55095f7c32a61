import { FileSystem } from "@effect/platform"
import { assert, layer } from "@effect/vitest"
import { Effect, Exit, Stream } from "effect"
import fs from "node:fs"
import { ArtifactStore } from "../../src/artifacts/index.ts"
import { CommandFailed } from "../../src/cli/CommandFailed.ts"
import { ArtifactDocument, ArtifactsDocument } from "../../src/cli/Documents.ts"
import { compared, writeWhole } from "../../src/cli/WholeFile.ts"
import { addRun, gatewayWith } from "../gateway/support/Service.ts"
import { commandLine as call } from "./InProcess.ts"
import { document, failure } from "./Smithers.ts"

const folder = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())

const put = (runId: string, name: string, content: string | Uint8Array) =>
  Effect.flatMap(
    ArtifactStore.ArtifactStore,
    (store) => store.put({ runId, tenant: null, name }, Buffer.from(content))
  )

layer(gatewayWith(), { excludeTestServices: true })("artifacts commands", (it) => {
  it.scoped("list: names and sizes, page by page; a run that is not there ends with 5", () =>
    Effect.gen(function*() {
      yield* addRun("left")
      assert.strictEqual((yield* call("artifacts", "list", "left")).stdout, "No artifacts.\n")
      for (const name of ["b.md", "a/b"]) yield* put("left", name, "12345")
      const { artifacts } = yield* document(ArtifactsDocument, yield* call("artifacts", "list", "--json", "left"))
      assert.deepStrictEqual(artifacts, [{ name: "a/b", bytes: 5 }, { name: "b.md", bytes: 5 }])
      const page = yield* call("artifacts", "list", "--after", "a/b", "--limit", "1", "left")
      assert.match(page.stdout, /^NAME +BYTES\nb\.md +5\n$/)
      assert.strictEqual((yield* call("artifacts", "list", "nobody")).code, 5)
      assert.strictEqual((yield* call("artifacts", "list", "--limit", "0", "left")).code, 2)
    }))

  it.scoped("get: the file is there whole, readable for its owner only, and replaces none", () =>
    Effect.gen(function*() {
      const home = yield* folder
      yield* addRun("got")
      const content = Buffer.alloc(700_000, "a b")
      const { sha256 } = yield* put("got", "report/ä #1.bin", content)
      const file = `${home}/out.bin`
      const ended = yield* call("artifacts", "get", "--output", file, "--json", "got", "report/ä #1.bin")
      assert.deepStrictEqual(yield* document(ArtifactDocument, ended), {
        file,
        name: "report/ä #1.bin",
        bytes: 700_000,
        sha256
      })
      assert.isTrue(fs.readFileSync(file).equals(content))
      assert.strictEqual(fs.statSync(file).mode & 0o777, 0o600)
      const again = yield* call("artifacts", "get", "--output", file, "got", "report/ä #1.bin")
      assert.strictEqual(again.code, 6)
      assert.include(again.stderr, "exists")
      const none = yield* call("artifacts", "get", "--output", `${home}/none`, "--json", "got", "none")
      assert.strictEqual((yield* failure(none)).code, "NOT_FOUND")
      assert.strictEqual((yield* call("artifacts", "get", "--output", `${home}/up`, "got", "../x")).code, 2)
      assert.deepStrictEqual(fs.readdirSync(home), ["out.bin"])
    }))

  it.scoped("get: of a damaged content nothing is left, and the command fails", () =>
    Effect.gen(function*() {
      const home = yield* folder
      yield* addRun("damaged")
      for (const bytes of [5, 2_000_000]) {
        const { location } = yield* put("damaged", "x", Buffer.alloc(bytes, "x"))
        fs.writeFileSync(location, Buffer.alloc(bytes, "y"))
        const ended = yield* call("artifacts", "get", "--output", `${home}/x`, "damaged", "x")
        assert.notStrictEqual(ended.code, 0)
        assert.deepStrictEqual(fs.readdirSync(home), [])
      }
    }))

  it.scoped("a file is not begun twice, and an interrupted one leaves nothing", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const torn = Stream.concat(Stream.make(Buffer.from("half")), Stream.fromEffect(Effect.interrupt))
      assert.isTrue(Exit.isInterrupted(yield* Effect.exit(writeWhole(`${home}/x`, torn))))
      const another = { _tag: "Another" as const }
      const wrong = compared(Stream.make(Buffer.from("x")), "0".repeat(64), () => another)
      assert.strictEqual<unknown>(yield* Effect.flip(writeWhole(`${home}/x`, wrong)), another)
      assert.deepStrictEqual(fs.readdirSync(home), [])
      // Somebody else was faster.
      const slow = Stream.tap(Stream.make(Buffer.from("x")), () =>
        Effect.sync(() => fs.writeFileSync(`${home}/x`, "theirs")))
      assert.instanceOf(yield* Effect.flip(writeWhole(`${home}/x`, slow)), CommandFailed)
      assert.deepStrictEqual(fs.readdirSync(home), ["x"])
      assert.strictEqual(fs.readFileSync(`${home}/x`, "utf8"), "theirs")
    }))
})
