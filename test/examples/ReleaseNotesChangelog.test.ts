import { FileSystem, Path } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as GitRepository from "./support/GitRepository.ts"
import { openDesk, place } from "./support/ReleaseDesk.ts"

const Review = Schema.Struct({
  target: Schema.String,
  files: Schema.Array(Schema.Struct({ path: Schema.String, operation: Schema.String, diff: Schema.String }))
})

/** A repository with a change log, something that git ignores, and one release after it. */
const product = Effect.gen(function*() {
  const path = yield* Path.Path
  const fs = yield* FileSystem.FileSystem
  const there = yield* place
  const { commit, git, path: folder } = yield* GitRepository.makeIn(there.root, "kite")
  const file = (name: string) => path.join(folder, name)
  yield* fs.writeFileString(file("CHANGELOG.md"), "# Changelog\n\nWhat was released.\n\n## v1.0.0\n\n- the first\n")
  yield* fs.writeFileString(file(".gitignore"), "/build\n")
  yield* fs.makeDirectory(file("build"))
  yield* fs.writeFileString(file("build/huge.bin"), "ignored")
  yield* commit("chore: first release")
  yield* git("tag", "v1.0.0")
  yield* commit("feat: it flies")
  yield* git("tag", "v1.1.0")
  const desk = yield* openDesk(there)
  /** Until the changes wait for their review. */
  const reviewed = Effect.gen(function*() {
    yield* desk.launch({ repo: "kite", from: "v1.0.0", to: "v1.1.0", changelog: true }, "r")
    yield* desk.asked("r")
    yield* desk.decide("r", true)
    const { payload } = yield* desk.asked("r", "changelog:review")
    return yield* Schema.decodeUnknown(Review)(payload)
  })
  const changelog = fs.readFileString(file("CHANGELOG.md"))
  return { ...desk, there, folder, reviewed, changelog, fs, file }
})

describe("release-notes with a change log", () => {
  it.scopedLive("shows the change that a sandbox made on a copy, and applies it to the repository once it is accepted", () =>
    Effect.gen(function*() {
      const { changelog, decide, engine, file, folder, fs, reviewed } = yield* product
      const before = yield* changelog
      const { files, target } = yield* reviewed
      assert.strictEqual(target, folder)
      assert.deepStrictEqual(files.map(({ operation, path }) => [operation, path]), [["modify", "CHANGELOG.md"]])
      assert.include(files[0]!.diff, "+## v1.1.0")
      assert.strictEqual(yield* changelog, before)
      yield* decide("r", true, "fine", "changelog:review")
      const run = yield* engine.awaitEnd("r")
      assert.strictEqual(run.status, "finished")
      assert.deepInclude(run.output, { changelog: "updated" })
      const after = yield* changelog
      assert.match(after, /^# Changelog\n\nWhat was released\.\n\n## v1\.1\.0\n\n1 change by /)
      assert.match(after, /\n### Features\n\n- it flies \(`[0-9a-f]{7}`\)\n/)
      assert.isTrue(after.endsWith("\n\n## v1.0.0\n\n- the first\n"))
      assert.strictEqual(yield* fs.readFileString(file("build/huge.bin")), "ignored")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("leaves the repository as it is when the change is rejected, and says so", () =>
    Effect.gen(function*() {
      const { changelog, decide, engine, published, reviewed } = yield* product
      const before = yield* changelog
      yield* reviewed
      yield* decide("r", false, "not in this file", "changelog:review")
      const { error } = yield* engine.awaitEnd("r")
      assert.strictEqual(error?.name, "ReviewRejected")
      assert.strictEqual(yield* changelog, before)
      assert.isTrue((yield* published("r"))._tag === "Some")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("refuses a change log that somebody changed while the review waited", () =>
    Effect.gen(function*() {
      const { changelog, decide, engine, file, fs, reviewed } = yield* product
      yield* reviewed
      yield* fs.writeFileString(file("CHANGELOG.md"), "# Another one\n")
      yield* decide("r", true, "fine", "changelog:review")
      const { error } = yield* engine.awaitEnd("r")
      assert.deepInclude(error?.data, { reason: "Stale" })
      assert.strictEqual(yield* changelog, "# Another one\n")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("finds nothing to do when the change log has the release already", () =>
    Effect.gen(function*() {
      const { asked, changelog, decide, engine, file, fs, launch } = yield* product
      yield* fs.writeFileString(file("CHANGELOG.md"), "# Changelog\n\n## v1.1.0\n\n- by hand\n")
      yield* launch({ repo: "kite", from: "v1.0.0", to: "v1.1.0", changelog: true }, "r")
      yield* asked("r")
      yield* decide("r", true)
      const run = yield* engine.awaitEnd("r")
      assert.deepInclude(run.output, { changelog: "unchanged" })
      assert.strictEqual(yield* changelog, "# Changelog\n\n## v1.1.0\n\n- by hand\n")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("refuses a bare repository before anything is collected", () =>
    Effect.gen(function*() {
      const { fail, folder, git } = yield* Effect.gen(function*() {
        const there = yield* place
        const { commit, git, path: folder } = yield* GitRepository.makeIn(there.root, "kite")
        yield* commit("feat: one")
        return { ...yield* openDesk(there), folder, git }
      })
      yield* git("clone", "--bare", "--quiet", folder, `${folder}.git`)
      const error = yield* fail({ repo: "kite.git", changelog: true })
      assert.deepInclude(error?.data, { _tag: "RepositoryRefused", reason: "NoWorkTree" })
    }).pipe(Effect.provide(NodeContext.layer)))
})
