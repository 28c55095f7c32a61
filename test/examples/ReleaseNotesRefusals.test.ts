import { FileSystem, Path } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as GitRepository from "./support/GitRepository.ts"
import { openDesk, place } from "./support/ReleaseDesk.ts"

/** A root with a repository of one commit, `lamp`, and a desk. */
const scene = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const there = yield* place
  const outside = path.join(path.dirname(there.root), "outside")
  const lamp = yield* GitRepository.makeIn(there.root, "lamp")
  yield* lamp.commit("feat: light")
  const desk = yield* openDesk(there)
  /** The run fails with exactly this typed error, after no step but these, and nothing is written. */
  const refuses = Effect.fnUntraced(
    function*(input: object, error: { readonly _tag: string } & Record<string, unknown>, steps = ["resolve"]) {
      const failure = yield* desk.fail(input)
      assert.deepStrictEqual({ typed: failure?.typed, data: failure?.data }, { typed: true, data: error })
      assert.deepStrictEqual(yield* desk.started("r"), steps)
      assert.deepStrictEqual(yield* desk.artifacts, [])
      return failure
    }
  )
  return { fs, path, there, outside, lamp, desk, refuses }
})

const refused = (repo: string, reason: string) => ({ _tag: "RepositoryRefused", repo, reason })

describe("release-notes refuses, typed and before anything is written,", () => {
  it.scopedLive("a path that does not exist", () =>
    Effect.gen(function*() {
      const { refuses } = yield* scene
      const failure = yield* refuses({ repo: "lamb" }, refused("lamb", "NotFound"))
      assert.strictEqual(failure?.message, "repo: there is no lamb")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("a folder that is no repository", () =>
    Effect.gen(function*() {
      const { fs, path, refuses, there } = yield* scene
      yield* fs.makeDirectory(path.join(there.root, "photos"))
      yield* refuses({ repo: "photos" }, refused("photos", "NotARepository"))
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("a folder within a repository, instead of looking for one above", () =>
    Effect.gen(function*() {
      const { fs, lamp, path, refuses } = yield* scene
      yield* fs.makeDirectory(path.join(lamp.path, "src"))
      yield* refuses({ repo: "lamp/src" }, refused("lamp/src", "NotARepository"))
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("a file", () =>
    Effect.gen(function*() {
      const { path, refuses, there } = yield* scene
      yield* GitRepository.writeFile(path.join(there.root, "note.txt"), "")
      yield* refuses({ repo: "note.txt" }, refused("note.txt", "NotARepository"))
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("a repository outside of the roots", () =>
    Effect.gen(function*() {
      const { outside, refuses } = yield* scene
      yield* Effect.flatMap(GitRepository.make(outside), ({ commit }) => commit("feat: secret"))
      yield* refuses({ repo: outside }, refused(outside, "OutsideAllowedRoots"))
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("a path outside of the roots, without telling whether it exists", () =>
    Effect.gen(function*() {
      const { refuses } = yield* scene
      yield* refuses({ repo: "../nothing-here" }, refused("../nothing-here", "OutsideAllowedRoots"))
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("a symbolic link that leads out of the roots", () =>
    Effect.gen(function*() {
      const { fs, outside, path, refuses, there } = yield* scene
      yield* Effect.flatMap(GitRepository.make(outside), ({ commit }) => commit("feat: secret"))
      yield* fs.symlink(outside, path.join(there.root, "link"))
      yield* refuses({ repo: "link" }, refused("link", "OutsideAllowedRoots"))
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("a work tree whose data lies outside of the roots", () =>
    Effect.gen(function*() {
      const { fs, outside, path, refuses, there } = yield* scene
      yield* Effect.flatMap(GitRepository.make(outside), ({ commit }) => commit("feat: secret"))
      yield* fs.makeDirectory(path.join(there.root, "tree"))
      yield* GitRepository.writeFile(path.join(there.root, "tree", ".git"), `gitdir: ${path.join(outside, ".git")}\n`)
      yield* refuses({ repo: "tree" }, refused("tree", "OutsideAllowedRoots"))
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("a repository that borrows objects from outside of the roots", () =>
    Effect.gen(function*() {
      const { lamp, outside, path, refuses } = yield* scene
      yield* Effect.flatMap(GitRepository.make(outside), ({ commit }) => commit("feat: secret"))
      yield* GitRepository.writeFile(
        path.join(lamp.path, ".git", "objects", "info", "alternates"),
        `${path.join(outside, ".git", "objects")}\n`
      )
      yield* refuses({ repo: "lamp" }, refused("lamp", "OutsideAllowedRoots"))
    }).pipe(Effect.provide(NodeContext.layer)))

  for (
    const ref of [
      "v9",
      "deadbeef",
      "main..main",
      "^main",
      "main:",
      "main^{tree}",
      "-",
      "--all",
      "$(id)",
      "héad",
      "@{-1}"
    ]
  ) {
    it.scopedLive(`the reference ${ref}, which names no commit`, () =>
      Effect.gen(function*() {
        const { refuses } = yield* scene
        yield* refuses({ repo: "lamp", from: ref, to: "main" }, { _tag: "RefNotFound", field: "from", ref })
      }).pipe(Effect.provide(NodeContext.layer)))
  }

  it.scopedLive("a reference that would be an option of git", () =>
    Effect.gen(function*() {
      const { fs, path, refuses, there } = yield* scene
      const target = path.join(there.root, "written-by-git")
      const ref = `--output=${target}`
      yield* refuses({ repo: "lamp", to: ref }, { _tag: "RefNotFound", field: "to", ref })
      assert.isFalse(yield* fs.exists(target))
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("a repository without a commit", () =>
    Effect.gen(function*() {
      const { refuses, there } = yield* scene
      yield* GitRepository.makeIn(there.root, "empty")
      yield* refuses({ repo: "empty" }, { _tag: "RefNotFound", field: "to", ref: "HEAD" })
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("a range without a commit", () =>
    Effect.gen(function*() {
      const { refuses } = yield* scene
      const failure = yield* refuses(
        { repo: "lamp", from: "main", to: "main" },
        { _tag: "EmptyRange", from: "main", to: "main", merges: 0 },
        ["resolve", "collect"]
      )
      assert.strictEqual(failure?.message, "No commit is reachable from main and not from main")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("a range of nothing but merges", () =>
    Effect.gen(function*() {
      const { lamp, refuses } = yield* scene
      const base = yield* lamp.commit("feat: base")
      const side = yield* lamp.commit("feat: side", { parents: [base] })
      yield* lamp.commit("Merge", { parents: [base, side] })
      yield* lamp.git("branch", "side", side)
      yield* refuses(
        { repo: "lamp", from: "side", to: "main" },
        { _tag: "EmptyRange", from: "side", to: "main", merges: 1 },
        ["resolve", "collect"]
      )
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("a range of more than 10,000 commits", () =>
    Effect.gen(function*() {
      const { refuses, there } = yield* scene
      const long = yield* GitRepository.makeIn(there.root, "long")
      yield* long.commitMany(Array.from({ length: 10_001 }, (_, index) => `fix: number ${index}`))
      yield* refuses(
        { repo: "long" },
        { _tag: "RangeTooLarge", limit: 10_000, unit: "commits" },
        ["resolve", "collect"]
      )
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("text that no path and no reference has, before there is a run", () =>
    Effect.gen(function*() {
      const { desk } = yield* scene
      for (
        const [field, input] of [
          ["input.repo", { repo: "" }],
          ["input.repo", { repo: "lamp\0" }],
          ["input.repo", { repo: "x".repeat(4_097) }],
          ["input.from", { repo: "lamp", from: "main\n--all" }],
          ["input.to", { repo: "lamp", to: "" }],
          ["input.to", { repo: "lamp", to: "x".repeat(1_025) }]
        ] as const
      ) {
        const error = yield* Effect.flip(desk.launch(input, "r"))
        assert.strictEqual(error._tag, "InvalidInput")
        assert.strictEqual(error._tag === "InvalidInput" ? error.field : "", field)
      }
      assert.strictEqual((yield* Effect.flip(desk.engine.view("r")))._tag, "RunNotFound")
    }).pipe(Effect.provide(NodeContext.layer)))
})
