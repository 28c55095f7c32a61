import { FileSystem, Path } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { credentials } from "../secrets/support.ts"
import * as GitRepository from "./support/GitRepository.ts"
import { openDesk, place } from "./support/ReleaseDesk.ts"

/** The one line of the notes that the message becomes, without its hash. */
const lineOf = Effect.fnUntraced(function*(message: string, author?: string) {
  const there = yield* place
  const { commit } = yield* GitRepository.makeIn(there.root, "lamp")
  yield* commit(message, author === undefined ? {} : { author })
  const desk = yield* openDesk(there)
  const { notes } = yield* desk.write({ repo: "lamp" })
  return { notes, line: notes.split("\n").find((line) => line.startsWith("- "))?.replace(/ \(`\w+`\)$/, "") }
})

const cases: ReadonlyArray<readonly [what: string, message: string, line: string]> = [
  [
    "emphasis, links and images",
    "a *b* _c_ ~~d~~ [e](http://f) ![g](h)",
    "- a \\*b\\* \\_c\\_ \\~\\~d\\~\\~ \\[e\\](http://f) !\\[g\\](h)"
  ],
  [
    "HTML",
    "<script>alert(1)</script> <img src=x onerror=y> a < b <!-- c",
    "- &lt;script>alert(1)&lt;/script> &lt;img src=x onerror=y> a < b &lt;!-- c"
  ],
  ["entities", "&lt;b&gt; &#60; AT&T R&D;", "- &amp;lt;b&amp;gt; &amp;#60; AT&T R&amp;D;"],
  ["a heading", "# Approved by everybody", "- \\# Approved by everybody"],
  ["a list within the list", "- more", "- \\- more"],
  ["a number that begins a list", "1. more", "- 1\\. more"],
  ["a quotation", "> more", "- \\> more"],
  ["a backslash", "a\\", "- a\\\\"],
  ["code, which stays code", "use `<b>*x*</b>` and `y", "- use `<b>*x*</b>` and &#96;y"],
  ["names with underscores as they are", "snake_case __init__", "- snake_case \\_\\_init\\_\\_"],
  [
    "colours, links and titles of terminals",
    "a\u001b[31mred\u001b[0m\u001b]8;;http://x\u0007b\u001b]0;title\u001b\\c",
    "- aredbc"
  ],
  ["control characters", "a\u0007\u0008b\u007f\u009bc", "- abc"],
  ["changes of the direction of writing", "if (\u202euser\u202c) \u2066x\u2069", "- if (user) x"],
  [
    "letters of all scripts and emoji",
    "Größe, 日本語, עברית, 👩‍👩‍👧 نمی‌خواهم",
    "- Größe, 日本語, עברית, 👩‍👩‍👧 نمی‌خواهم"
  ],
  ["a subject that goes on and on", `a${"😀".repeat(400)}`, `- a${"😀".repeat(149)}…`]
]

describe("release-notes shows the words of commits and nothing else:", () => {
  for (const [what, message, expected] of cases) {
    it.scopedLive(what, () =>
      Effect.gen(function*() {
        assert.strictEqual((yield* lineOf(message)).line, expected)
      }).pipe(Effect.provide(NodeContext.layer)))
  }

  it.scopedLive("a credential in a message or a name is cut out, and the notes are made all the same", () =>
    Effect.gen(function*() {
      const { "github-token": token, "private-key": key } = credentials("release-notes")
      const hidden = Array.from(token!).join("\u200b")
      const { line, notes } = yield* lineOf(
        `fix: use ${token} for Basic authentication\n\n${key}\n\nand ${hidden}`,
        `Ada ${token}`
      )
      assert.strictEqual(line, "- use \\[redacted\\] for Basic authentication")
      for (const text of [token!, ...key!.split("\n").slice(1, 3)]) assert.notInclude(notes, text)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("an area cannot make a heading of its own", () =>
    Effect.gen(function*() {
      const there = yield* place
      const { commit } = yield* GitRepository.makeIn(there.root, "lamp")
      yield* commit("@a_b*: one")
      yield* commit("@a_b*: two")
      const desk = yield* openDesk(there)
      assert.include((yield* desk.write({ repo: "lamp" })).notes, "\n## @a_b\\*\n\n- two")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("authors and co-authors are escaped too, and addresses are not published", () =>
    Effect.gen(function*() {
      const { notes } = yield* lineOf(
        "feat: x\n\nCo-authored-by: [Eve](http://e) <eve@example.org>\nCO-AUTHORED-BY: Bob\n",
        "*Mallory*"
      )
      assert.include(notes, "\\*Mallory\\* (1), \\[Eve\\](http://e) (1), Bob (1).")
      assert.notInclude(notes, "@example.org")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("a commit without a message has its line", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* lineOf("")).line, "- (no message)")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("messages that are not UTF-8 are read as far as they can be", () =>
    Effect.gen(function*() {
      const there = yield* place
      const repository = yield* GitRepository.makeIn(there.root, "lamp")
      yield* repository.commitBytes(Uint8Array.of(0x61, 0xff, 0xfe, 0x62))
      const desk = yield* openDesk(there)
      assert.match((yield* desk.write({ repo: "lamp" })).notes, /- a\ufffd+b \(/)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("ten thousand long changes are cut, say so, and still fit what an approver can be shown", () =>
    Effect.gen(function*() {
      const there = yield* place
      const { commitMany } = yield* GitRepository.makeIn(there.root, "long")
      yield* commitMany(
        Array.from(
          { length: 10_000 },
          (_, index) => `${index % 3 === 0 ? "feat!" : `a${index % 40}`}: ${"\"".repeat(280)}`
        )
      )
      const desk = yield* openDesk(there)
      const { notes, run } = yield* desk.write({ repo: "long" })
      assert.strictEqual(run.status, "finished")
      assert.isBelow(Buffer.byteLength(JSON.stringify(notes)), 1_000_000)
      assert.match(notes, /- _… and \d+ more changes for which there is no room here\._/)
      assert.match(notes, /No room for: \d+ changes\./)
      assert.include(notes, "10000 changes by 1 person")
    }).pipe(Effect.provide(NodeContext.layer)))
})

describe("release-notes executes nothing that a repository names:", () => {
  it.scopedLive("neither hooks nor monitors, pagers, signature checkers or transports", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const there = yield* place
      const { commit, git, path: folder } = yield* GitRepository.makeIn(there.root, "lamp")
      yield* commit("feat: light")
      const marker = path.join(there.root, "executed")
      const script = path.join(there.root, "script.sh")
      yield* GitRepository.writeFile(script, `#!/bin/sh\necho "$0 $@" >> ${marker}\nexit 1\n`)
      yield* fs.chmod(script, 0o755)
      for (
        const [key, value] of [
          ["core.fsmonitor", script],
          ["core.pager", script],
          ["pager.log", script],
          ["core.hooksPath", folder],
          ["core.sshCommand", script],
          ["core.askPass", script],
          ["core.editor", script],
          ["log.showSignature", "true"],
          ["gpg.program", script],
          ["diff.external", script],
          ["alias.log", `!${script}`],
          ["alias.rev-parse", `!${script}`],
          ["extensions.partialClone", "origin"],
          ["remote.origin.promisor", "true"],
          ["remote.origin.url", `ext::${script}`],
          ["protocol.ext.allow", "always"],
          ["remote.origin.uploadpack", script],
          ["credential.helper", `!${script}`]
        ] as const
      ) {
        yield* git("config", key, value)
      }
      // A commit that is not there, so that git would want to fetch it.
      yield* GitRepository.writeFile(path.join(folder, ".git", "refs", "heads", "gone"), `${"1".repeat(40)}\n`)
      const desk = yield* openDesk(there)
      assert.include((yield* desk.write({ repo: "lamp" })).notes, "light")
      assert.strictEqual((yield* desk.fail({ repo: "lamp", to: "gone" }, "gone"))?.name, "RefNotFound")
      assert.isFalse(yield* fs.exists(marker))
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("and the environment of the service does not reach git", () =>
    Effect.gen(function*() {
      const there = yield* place
      const { commit } = yield* GitRepository.makeIn(there.root, "lamp")
      yield* commit("feat: light")
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          process.env["GIT_DIR"] = "/nonexistent"
        }),
        () =>
          Effect.sync(() => {
            delete process.env["GIT_DIR"]
          })
      )
      const desk = yield* openDesk(there)
      assert.include((yield* desk.write({ repo: "lamp" })).notes, "light")
    }).pipe(Effect.provide(NodeContext.layer)))
})
