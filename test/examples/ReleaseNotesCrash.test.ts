import { FileSystem, Path } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Stream } from "effect"
import { startChild } from "../support/Child.ts"
import * as GitRepository from "./support/GitRepository.ts"
import { openDesk, place, usualPath } from "./support/ReleaseDesk.ts"

/** A root with a repository, and a `git` that notes what it is asked before it does it. */
const scene = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const there = yield* place
  const { commit } = yield* GitRepository.makeIn(there.root, "lamp")
  yield* commit("feat: light")
  yield* commit("fix: less heat")
  const log = path.join(there.root, "git.log")
  const tools = path.join(there.root, "tools")
  yield* fs.makeDirectory(tools)
  yield* GitRepository.writeFile(
    path.join(tools, "git"),
    `#!/bin/sh\necho "$*" >> ${log}\nPATH=${usualPath} exec git "$@"\n`
  )
  yield* fs.chmod(path.join(tools, "git"), 0o755)
  const searchPath = `${tools}:${usualPath}`
  /** Starts a service in a process of its own and kills it when it says the line. */
  const killAt = (line: string, mode = "") =>
    Effect.scoped(Effect.gen(function*() {
      const { child, lines } = yield* startChild(
        "test/examples/programs/desk.ts",
        there.home,
        there.root,
        "lamp",
        searchPath,
        mode
      )
      const found = yield* lines.pipe(Stream.filter((text) => text === line), Stream.runHead)
      assert.isTrue(Option.isSome(found), `the service ended before it said ${line}`)
      yield* child.kill("SIGKILL")
    }))
  return {
    fs,
    path,
    there,
    killAt,
    desk: openDesk(there, { searchPath }),
    logsRead: Effect.map(
      fs.readFileString(log),
      (text) => text.split("\n").filter((line) => line.includes(" log ")).length
    )
  }
})

describe("release-notes, killed", () => {
  for (const step of ["collect", "group", "draft:features", "compose"]) {
    it.scopedLive(`after ${step}, goes on without collecting the commits again`, () =>
      Effect.gen(function*() {
        const { desk, killAt, logsRead } = yield* scene
        yield* killAt(`NodeFinished ${step}`)
        const { asked, decide, engine, published, started, takeUpRuns } = yield* desk
        yield* takeUpRuns
        yield* asked("r")
        yield* decide("r", true)
        assert.strictEqual((yield* engine.awaitEnd("r")).status, "finished")
        assert.strictEqual(yield* logsRead, 1)
        assert.strictEqual((yield* started("r")).filter((nodeId) => nodeId === "collect").length, 1)
        assert.include(Option.getOrThrow(yield* published("r")), "less heat")
      }).pipe(Effect.provide(NodeContext.layer)))
  }

  it.scopedLive("while it waits for approval, is asked once and publishes what was asked", () =>
    Effect.gen(function*() {
      const { desk, killAt, there } = yield* scene
      yield* killAt("RunStatusChanged ")
      // What the repository says by now is of no interest: the notes are those that were shown.
      yield* Effect.flatMap(GitRepository.makeIn(there.root, "lamp"), ({ commit }) => commit("feat: later"))
      const { asked, decide, engine, published, takeUpRuns } = yield* desk
      yield* takeUpRuns
      const { payload } = yield* asked("r")
      yield* decide("r", true)
      assert.strictEqual((yield* engine.awaitEnd("r")).status, "finished")
      const notes = Option.getOrThrow(yield* published("r"))
      assert.notInclude(notes, "later")
      assert.propertyVal(payload, "markdown", notes)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("between writing the notes and the acknowledgement, writes the same notes again", () =>
    Effect.gen(function*() {
      const { desk, killAt } = yield* scene
      yield* killAt("written", "stuck")
      const { artifacts, engine, published, takeUpRuns } = yield* desk
      const before = yield* published("r")
      assert.isTrue(Option.isSome(before))
      yield* takeUpRuns
      assert.strictEqual((yield* engine.awaitEnd("r")).status, "finished")
      assert.deepStrictEqual(yield* published("r"), before)
      assert.deepStrictEqual(yield* artifacts, ["r", "r/RELEASE_NOTES.md"])
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("in the middle of writing, removes what it left behind", () =>
    Effect.gen(function*() {
      const { desk, fs, path, there } = yield* scene
      const drafts = path.join(there.home, "artifact-drafts")
      yield* fs.makeDirectory(drafts)
      yield* GitRepository.writeFile(path.join(drafts, "left"), "# lamp: half of it and mor".repeat(99))
      const { artifacts, write } = yield* desk
      const { notes } = yield* write({ repo: "lamp" })
      assert.match(notes, /^# lamp: release notes/)
      assert.deepStrictEqual(yield* artifacts, ["r", "r/RELEASE_NOTES.md"])
      assert.deepStrictEqual(yield* fs.readDirectory(drafts), [])
    }).pipe(Effect.provide(NodeContext.layer)))
})
