import { Path } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Schema } from "effect"
import * as GitRepository from "./support/GitRepository.ts"
import { openDesk, place } from "./support/ReleaseDesk.ts"

const Payload = Schema.Struct({
  markdown: Schema.String,
  sha256: Schema.String,
  target: Schema.String,
  repository: Schema.String,
  range: Schema.Struct({
    from: Schema.NullOr(Schema.Struct({ ref: Schema.String, hash: Schema.String })),
    to: Schema.Struct({ ref: Schema.String, hash: Schema.String })
  }),
  counts: Schema.Unknown
})
const payloadOf = Schema.decodeUnknown(Payload)

/** A small product between two releases, told in Conventional Commits. */
const lamp = Effect.fnUntraced(function*(root: string) {
  const repository = yield* GitRepository.makeIn(root, "lamp")
  const { commit, git } = repository
  const released = yield* commit("chore: first release")
  yield* git("tag", "v1.0.0")
  const dim = yield* commit("feat(dim): lamps can be dimmed\n\nCo-authored-by: Grace Hopper <grace@example.org>")
  const fix = yield* commit("fix: keep `on_off` in *step*, at last (#12)")
  const docs = yield* commit("docs: say what dimming is", { author: "Grace Hopper" })
  const side = yield* commit("perf(core)!: wake up in half the time", { author: "Grace Hopper", parents: [released] })
  const merge = yield* commit("Merge branch 'faster'", { parents: [docs, side] })
  const token = yield* commit(
    "feat(api): ask for a token\n\nNobody else may switch.\n\n" +
      "BREAKING CHANGE: clients without a token are refused.\nAsk the operator for one.\nReviewed-by: Alan Turing"
  )
  const flicker = yield* commit("Fix the flicker", { author: "Grace Hopper" })
  const revert = yield* commit(`Revert "feat(dim): lamps can be dimmed"\n\nThis reverts commit ${dim}.`)
  const build = yield* commit("ci: test on Node 24", { author: "Linus Torvalds" })
  yield* git("tag", "-a", "v1.1.0", "-m", "1.1.0")
  return { ...repository, released, dim, fix, docs, side, merge, token, flicker, revert, build }
})

describe("release-notes", () => {
  it.scopedLive("writes the approved notes of a range of conventional commits", () =>
    Effect.gen(function*() {
      const there = yield* place
      const made = yield* lamp(there.root)
      const desk = yield* openDesk(there)
      const { notes, run } = yield* desk.write({ repo: "lamp", from: "v1.0.0", to: "v1.1.0" })
      const short = (hash: string) => `\`${hash.slice(0, 7)}\``
      assert.strictEqual(
        notes,
        `# lamp: from \`v1.0.0\` to \`v1.1.0\`

8 changes by 3 people, written on 2026-03-01. **2 of them breaking.**

## Breaking changes

- **api:** clients without a token are refused. Ask the operator for one. (${short(made.token)})
- **core:** wake up in half the time (${short(made.side)})

## Features

_2 changes by Ada Lovelace, Grace Hopper_

- **Breaking** **api:** ask for a token (${short(made.token)})
- **dim:** lamps can be dimmed (${short(made.dim)}) – taken back by ${short(made.revert)}

## Bug fixes

_2 changes by Grace Hopper, Ada Lovelace_

- Fix the flicker (${short(made.flicker)})
- keep \`on_off\` in \\*step\\*, at last (#12) (${short(made.fix)})

## Performance

- **Breaking** **core:** wake up in half the time (${short(made.side)})

## Reverts

- Revert "feat(dim): lamps can be dimmed" (${short(made.revert)})

## Documentation

- say what dimming is (${short(made.docs)})

## Maintenance

- test on Node 24 (${short(made.build)})

## Contributors

Ada Lovelace (4), Grace Hopper (4), Linus Torvalds (1).

---

_Drafted by rules from the messages of the commits, without a language model: sections follow Conventional Commits and \
the prefixes of the subjects, the words are the authors'. Left out: 1 merge._

_Commits reachable from \`${made.build}\` and not from \`${made.released}\`._
`
      )
      assert.strictEqual(run.status, "finished")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("asks for approval of the very text, and says where it goes and what it is made of", () =>
    Effect.gen(function*() {
      const there = yield* place
      const made = yield* lamp(there.root)
      const desk = yield* openDesk(there)
      yield* desk.launch({ repo: made.path, from: "v1.0.0", to: "main" }, "notes-1")
      const approval = yield* desk.asked("notes-1")
      const shown = yield* payloadOf(approval.payload)
      assert.strictEqual(approval.owner, "release-lead")
      assert.strictEqual(approval.fallbackOwner, "cto")
      assert.strictEqual(approval.summary, "8 changes (2 breaking) by 3 people, from v1.0.0 to main")
      assert.deepStrictEqual(
        { ...shown, markdown: "", sha256: "" },
        {
          markdown: "",
          sha256: "",
          target: "<SMITHERS_HOME>/artifacts/notes-1/RELEASE_NOTES.md",
          repository: made.path,
          range: { from: { ref: "v1.0.0", hash: made.released }, to: { ref: "main", hash: made.build } },
          counts: { changes: 8, breaking: 2, merges: 1, authors: 3, sections: 6 }
        }
      )
      assert.deepStrictEqual(yield* desk.artifacts, [])
      yield* desk.decide("notes-1", true)
      const { output } = yield* desk.engine.awaitEnd("notes-1")
      assert.deepStrictEqual(yield* desk.published("notes-1"), Option.some(shown.markdown))
      assert.deepStrictEqual(output, {
        path: desk.notesFile("notes-1"),
        sha256: shown.sha256,
        bytes: Buffer.byteLength(shown.markdown),
        counts: shown.counts
      })
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("files commits of other customs under their areas, and the rest as other changes", () =>
    Effect.gen(function*() {
      const there = yield* place
      const { commit } = yield* GitRepository.makeIn(there.root, "kernel")
      yield* commit("Initial import")
      yield* commit("net/http: close idle connections")
      yield* commit("net/http: http://example.org is no area")
      yield* commit("Access, audit: one door")
      yield* commit("access: another door")
      yield* commit("Note to those who read this at night: sleep")
      yield* commit("journal: alone in its area")
      const desk = yield* openDesk(there)
      const { notes } = yield* desk.write({ repo: "kernel" })
      const outline = notes.split("\n")
        .filter((line) => /^(#|- )/.test(line))
        .map((line) => line.replace(/ \(`\w+`\)$/, ""))
      assert.deepStrictEqual(outline, [
        "# kernel: release notes to `HEAD`",
        "## access",
        "- another door",
        "- **Access, audit:** one door",
        "## net/http",
        "- http://example.org is no area",
        "- close idle connections",
        "## Other changes",
        "- **journal:** alone in its area",
        "- Note to those who read this at night: sleep",
        "- Initial import",
        "## Contributors"
      ])
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("takes tags, branches and abbreviated hashes, and a range is what `to` has and `from` has not", () =>
    Effect.gen(function*() {
      const there = yield* place
      const made = yield* lamp(there.root)
      yield* made.git("branch", "faster", made.side)
      const desk = yield* openDesk(there)
      const sideways = yield* desk.write({ repo: "lamp", from: made.docs.slice(0, 8), to: "faster" }, "sideways")
      assert.include(sideways.notes, "1 change by 1 person")
      assert.include(sideways.notes, "wake up in half the time")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("reads bare repositories, linked work trees and shallow clones, and says that a clone is shallow", () =>
    Effect.gen(function*() {
      const there = yield* place
      const path = yield* Path.Path
      const made = yield* lamp(there.root)
      yield* made.git("clone", "--quiet", "--bare", ".", path.join(there.root, "bare.git"))
      yield* made.git("worktree", "add", "--quiet", path.join(there.root, "tree"), "v1.0.0")
      yield* made.git("clone", "--quiet", "--depth=2", `file://${made.path}`, path.join(there.root, "shallow"))
      const desk = yield* openDesk(there)
      assert.include((yield* desk.write({ repo: "bare.git" }, "bare")).notes, "# bare: release notes to `HEAD`")
      assert.include((yield* desk.write({ repo: "tree" }, "tree")).notes, "first release")
      const { notes } = yield* desk.write({ repo: "shallow" }, "shallow")
      assert.include(notes, "2 changes by")
      assert.include(notes, "This clone is shallow")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("gives authors the names of the mailmap", () =>
    Effect.gen(function*() {
      const there = yield* place
      const { commit, git, path: folder } = yield* GitRepository.makeIn(there.root, "renamed")
      const path = yield* Path.Path
      const mailmap = path.join(folder, ".mailmap")
      yield* GitRepository.writeFile(mailmap, "Ada King <author@example.org>\n")
      yield* git("add", ".mailmap")
      yield* commit("feat: one", { tree: yield* git("write-tree") })
      const desk = yield* openDesk(there)
      assert.include((yield* desk.write({ repo: "renamed" })).notes, "Ada King (1).")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("makes notes of this very repository", () =>
    Effect.gen(function*() {
      const there = yield* place
      const desk = yield* openDesk({ ...there, root: process.cwd() })
      const { notes, run } = yield* desk.write({ repo: ".", to: "HEAD" })
      assert.strictEqual(run.status, "finished")
      assert.match(notes, /^# \S+: release notes to `HEAD`\n\n\d+ changes? by /)
      assert.match(notes, /\(`[0-9a-f]{7}`\)/)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("fails with ApprovalDenied and writes nothing when the release lead says no", () =>
    Effect.gen(function*() {
      const there = yield* place
      yield* lamp(there.root)
      const desk = yield* openDesk(there)
      yield* desk.launch({ repo: "lamp" }, "r")
      yield* desk.asked("r")
      yield* desk.decide("r", false, "not today")
      const { error, status } = yield* desk.engine.awaitEnd("r")
      assert.strictEqual(status, "failed")
      assert.deepStrictEqual(error, {
        name: "ApprovalDenied",
        message: "publish was denied by rita: not today",
        typed: true,
        data: { _tag: "ApprovalDenied", nodeId: "publish", decidedBy: "rita", note: "not today" }
      })
      assert.deepStrictEqual(yield* desk.artifacts, [])
      assert.strictEqual(yield* desk.starts("r", "write"), 0)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("describes its input for a form", () =>
    Effect.gen(function*() {
      const desk = yield* openDesk(yield* place)
      const [workflow] = yield* desk.engine.workflows
      assert.strictEqual(workflow?.key, "release-notes")
      assert.strictEqual(workflow?.title, "Release notes")
      const schema = yield* Schema.decodeUnknown(Schema.Struct({
        required: Schema.Array(Schema.String),
        properties: Schema.Record({
          key: Schema.String,
          value: Schema.Struct({ type: Schema.String, title: Schema.String, description: Schema.String })
        })
      }))(workflow?.inputSchema)
      assert.deepStrictEqual(schema.required, ["repo"])
      assert.deepStrictEqual(Object.values(schema.properties).map(({ title }) => title), [
        "Repository",
        "From",
        "To",
        "Update CHANGELOG.md"
      ])
    }).pipe(Effect.provide(NodeContext.layer)))
})
