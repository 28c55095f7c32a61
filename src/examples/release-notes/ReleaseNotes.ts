import { Path } from "@effect/platform"
import { Effect, Encoding, Schema } from "effect"
import { Approval, Artifacts, Description, Sandbox, Task, Title, Workflow } from "../../workflow/index.ts"
import { Changes, fromCommits } from "./ChangeGroups.ts"
import * as Changelog from "./Changelog.ts"
import { cut } from "./CommitText.ts"
import * as NotesWriter from "./NotesWriter.ts"
import { EmptyRange, GitFailed, RangeTooLarge, RefNotFound, RepositoryRefused } from "./ReleaseNotesError.ts"
import * as Repository from "./Repository.ts"

const visible = /^[^\u0000-\u001f\u007f]*$/

const Repo = Schema.String.pipe(
  Schema.minLength(1),
  Schema.maxLength(4_096),
  Schema.pattern(visible, { message: () => "must not contain control characters" }),
  Schema.annotations({
    title: "Repository",
    description: "Path of a git repository on the service's machine, below a directory of SMITHERS_REPO_ROOTS."
  })
)

const Ref = Schema.String.pipe(
  Schema.maxLength(1_024),
  Schema.pattern(visible, { message: () => "must not contain control characters" })
)

const Input = Schema.Struct({
  repo: Repo,
  from: Schema.optionalWith(
    Ref.annotations({
      title: "From",
      description:
        "Tag, branch or hash that was released before; its commits are left out. Empty: from the first commit."
    }),
    { default: () => "" }
  ),
  to: Schema.optionalWith(
    Ref.pipe(
      Schema.minLength(1),
      Schema.annotations({ title: "To", description: "Tag, branch or hash to be released. Left out: HEAD." })
    ),
    { default: () => "HEAD" }
  ),
  changelog: Schema.optionalWith(
    Schema.Boolean.annotations({
      title: "Update CHANGELOG.md",
      description:
        "Also put the notes into CHANGELOG.md of the repository: made in a sandbox on a copy, applied after a review."
    }),
    { default: () => false }
  )
})

const Counts = Schema.Struct({
  changes: Schema.Int,
  breaking: Schema.Int,
  merges: Schema.Int,
  authors: Schema.Int,
  sections: Schema.Int
})

/** What was published, and where. */
const Published = Schema.Struct({
  path: Schema.String,
  sha256: Schema.String,
  bytes: Schema.Int,
  counts: Counts,
  /** What became of CHANGELOG.md; left out when nobody asked for it. `unchanged`: it has the release already. */
  changelog: Schema.optional(Schema.Literal("updated", "unchanged"))
})

const owners = { owner: "release-lead", fallbackOwner: "cto" }

/** Writes the release notes of a range of a git repository, after somebody has approved their text. */
export const ReleaseNotes = Workflow.make({
  name: "release-notes",
  payload: Input,
  success: Published,
  error: Schema.Union(
    RepositoryRefused,
    RefNotFound,
    RangeTooLarge,
    EmptyRange,
    GitFailed,
    Approval.ApprovalDenied,
    Sandbox.SandboxFailed,
    Sandbox.ReviewRejected
  ),
  idempotencyKey: ({ from, repo, to }) => `${repo}#${from}..${to}`
})
  .annotate(Title, "Release notes")
  .annotate(Approval.Paths, [
    { id: "publish", ...owners },
    { id: "changelog:review", ...owners }
  ])
  .annotate(
    Description,
    "Collects the commits of a range, drafts notes by rules, asks for approval and writes them to the run's artifacts; on demand into CHANGELOG.md too."
  )

const Resolved = Schema.Struct({
  path: Schema.String,
  name: Schema.String,
  shallow: Schema.Boolean,
  from: Schema.NullOr(NotesWriter.Point),
  to: NotesWriter.Point
})
const ResolveError = Schema.Union(RepositoryRefused, RefNotFound, GitFailed)
const Commits = Schema.Array(Repository.Commit)
const CollectError = Schema.Union(RepositoryRefused, RangeTooLarge, EmptyRange, GitFailed)
const Notes = Schema.Struct({ markdown: Schema.String, sha256: Schema.String })
const Written = Schema.Struct({ path: Schema.String })
const Updated = Schema.Struct({ updated: Schema.Boolean })
/** What git leaves out of a copy by rule; names a place that is not worth copying. */
const Ignored = Schema.Array(Schema.String)

/** The artifact of the run that the notes are. */
const fileName = "RELEASE_NOTES.md"

/** SHA-256 (hex) of the text in UTF-8. */
const sha256Of = (text: string) =>
  Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))),
    (digest) => Encoding.encodeHex(new Uint8Array(digest))
  )

const resolve = Effect.fnUntraced(function*({ changelog, from, repo, to }: typeof Input.Type) {
  const path = yield* Path.Path
  const repository = yield* Repository.open(repo)
  if (changelog) yield* Repository.requireWorkTree(repository)
  const start = from === "" ? null : yield* Repository.resolve(repository, "from", from)
  return {
    path: repository.path,
    name: path.basename(repository.path).replace(/\.git$/, ""),
    shallow: repository.shallow,
    from: start === null ? null : { ref: from, hash: start },
    to: { ref: to, hash: yield* Repository.resolve(repository, "to", to) }
  }
})

/** The place is checked once more: days may lie between a step and its repetition. */
const collect = Effect.fnUntraced(function*({ from, path, to }: typeof Resolved.Type) {
  const commits = yield* Effect.flatMap(
    Repository.open(path),
    (repository) => Repository.commits(repository, from?.hash ?? null, to.hash)
  )
  if (commits.some(({ merge }) => !merge)) return commits
  return yield* new EmptyRange({ from: from?.ref ?? null, to: to.ref, merges: commits.length })
})

/**
 *     resolve ── collect ── group ──┬─ draft:… ─┬── compose ── publish (approval) ── write
 *                                   └─ draft:… ─┘                                     │
 *                                                        changelog:apply ── review ── changelog (sandbox)
 *
 * Effects on the world are the artifact of `write` and, if it was asked for, CHANGELOG.md of the repository, which a command in
 * a sandbox produces on a copy and which is applied after a review. Doing either twice is doing it once.
 */
export const layer = ReleaseNotes.toLayer(Effect.fnUntraced(function*(input) {
  const range = yield* Task.run({
    id: "resolve",
    label: "Find the repository and the range",
    output: Resolved,
    error: ResolveError,
    execute: resolve(input)
  })
  const commits = yield* Task.run({
    id: "collect",
    label: "Collect the commits",
    output: Commits,
    error: CollectError,
    execute: collect(range)
  })
  const changes = yield* Task.run({
    id: "group",
    label: "Group the changes",
    output: Changes,
    execute: Effect.sync(() => fromCommits(commits))
  })
  const drafts = yield* Effect.forEach(
    changes.groups,
    (group) =>
      Task.run({
        id: `draft:${group.id}`,
        label: group.title,
        output: NotesWriter.Draft,
        execute: Effect.sync(() => NotesWriter.draft(group, changes))
      }),
    { concurrency: 4 }
  ).pipe(Task.group("drafts", "Draft the sections"))
  const { markdown, sha256 } = yield* Task.run({
    id: "compose",
    label: "Put the notes together",
    output: Notes,
    execute: Effect.suspend(() => {
      const markdown = NotesWriter.compose(range, changes, drafts)
      return Effect.map(sha256Of(markdown), (sha256) => ({ markdown, sha256 }))
    })
  })
  const counts = {
    changes: changes.changes,
    breaking: changes.breaking,
    merges: changes.merges,
    authors: changes.authors.length,
    sections: drafts.length
  }
  yield* Approval.request({
    id: "publish",
    title: cut(`Publish the release notes of ${range.name}?`, 200),
    summary: cut(NotesWriter.headline(range, changes), 500),
    payload: {
      markdown,
      sha256,
      target: yield* Effect.orDie(Artifacts.place(fileName)),
      repository: range.path,
      range: { from: range.from, to: range.to },
      counts
    }
  })
  const { path } = yield* Task.run({
    id: "write",
    label: "Write RELEASE_NOTES.md",
    output: Written,
    execute: Effect.map(Artifacts.put(fileName, markdown), ({ location }) => ({ path: location }))
  })
  const published = { path, sha256, bytes: Buffer.byteLength(markdown), counts }
  if (!input.changelog) return published
  const exclude = yield* Task.run({
    id: "ignored",
    label: "What git leaves out",
    output: Ignored,
    error: ResolveError,
    execute: Effect.flatMap(Repository.open(range.path), Repository.ignored)
  })
  const { updated } = yield* Sandbox.run({
    id: "changelog",
    label: "Put the notes into CHANGELOG.md",
    input: { repository: range.name, to: range.to },
    stdin: Changelog.sectionOf(range, markdown),
    command: Changelog.command,
    output: Updated,
    files: { from: range.path, exclude },
    timeout: "1 minute"
  })
  return { ...published, changelog: updated ? "updated" as const : "unchanged" as const }
}))
