import { FileSystem, Path } from "@effect/platform"
import { Effect, Schema } from "effect"
import { Redaction } from "../../workflow/index.ts"
import { cut, cutMiddle, line, lines } from "./CommitText.ts"
import * as Git from "./Git.ts"
import { ReleaseNotesConfig } from "./ReleaseNotesConfig.ts"
import { GitFailed, RangeTooLarge, RefNotFound, RepositoryRefused } from "./ReleaseNotesError.ts"

/** Commits that one range may have. */
const maxCommits = 10_000
const subjectChars = 300
const bodyChars = 8_192
/** Of a message as it is stored, before it is cleaned. */
const messageChars = 32_768
const maxCoAuthors = 50
const nameChars = 100

/** A repository that lies, with everything git reads of it, below an allowed root. */
interface Repository {
  /** Without symbolic links. */
  readonly path: string
  readonly gitDirectory: string
  /** Its history was cut when it was cloned. */
  readonly shallow: boolean
}

/** One commit as far as notes are made of it; texts are cleaned and bounded. */
export const Commit = Schema.Struct({
  hash: Schema.String,
  merge: Schema.Boolean,
  author: Schema.String,
  coAuthors: Schema.Array(Schema.String),
  /** When it was written, ISO 8601 with the author's offset. */
  date: Schema.String,
  subject: Schema.String,
  body: Schema.String
})
export type Commit = typeof Commit.Type

const questions = [
  "--absolute-git-dir",
  "--git-common-dir",
  "--git-path",
  "objects",
  "--is-shallow-repository"
]

/**
 * Opens the repository at `repo`, which is the top folder of a working tree or a bare repository. Symbolic links are
 * resolved before the roots are compared, and the git directory, the objects and borrowed objects must lie below a root
 * too. Of a path that is outside as it is written, not even the existence is told.
 */
export const open = Effect.fnUntraced(function*(repo: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { roots } = yield* ReleaseNotesConfig
  const refused = (reason: RepositoryRefused["reason"]) => new RepositoryRefused({ repo, reason })

  const inside = (root: string, target: string) => {
    const way = path.relative(root, target)
    return way === "" || (way !== ".." && !way.startsWith(`..${path.sep}`) && !path.isAbsolute(way))
  }
  const resolvedRoots = yield* Effect.forEach(roots, (root) => Effect.orElseSucceed(fs.realPath(root), () => root))
  const allowed = (target: string) => resolvedRoots.some((root) => inside(root, target))
  const locate = (target: string) =>
    Effect.filterOrFail(
      Effect.mapError(fs.realPath(target), () => refused("NotFound")),
      allowed,
      () => refused("OutsideAllowedRoots")
    )

  const written = path.resolve(roots[0], repo)
  if (!allowed(written) && !roots.some((root) => inside(root, written))) return yield* refused("OutsideAllowedRoots")
  const directory = yield* locate(written)

  const answer = yield* Git.describe(directory, path.dirname(directory), questions)
  if (answer.exitCode !== 0) return yield* refused("NotARepository")
  const [gitDirectory, common, objects, shallow, ...rest] = answer.stdout.split("\n")
  if (gitDirectory === undefined || common === undefined || objects === undefined || rest.length !== 1) {
    return yield* new GitFailed({
      operation: "rev-parse",
      reason: "Unreadable",
      detail: "The repository did not say where it keeps its data."
    })
  }
  const places = yield* Effect.forEach([gitDirectory, common, objects], locate)
  const borrowed = yield* fs.readFileString(path.join(objects, "info", "alternates")).pipe(
    Effect.orElseSucceed(() => "")
  )
  const sources = borrowed.split("\n").filter((source) => source !== "" && !source.startsWith("#"))
  yield* Effect.forEach(sources, (source) => locate(path.resolve(objects, source)), { discard: true })
  return { path: directory, gitDirectory: places[0]!, shallow: shallow === "true" } satisfies Repository
})

/** Fails unless files are checked out at the repository's path. */
export const requireWorkTree = (repository: Repository): Effect.Effect<void, RepositoryRefused> =>
  repository.gitDirectory === repository.path
    ? new RepositoryRefused({ repo: repository.path, reason: "NoWorkTree" })
    : Effect.void

/** What its rules leave out of the repository: paths relative to its top, a folder as one. */
export const ignored = (repository: Repository) =>
  Git.readTree(repository, "ls-files", ["-z", "--others", "--ignored", "--exclude-standard", "--directory"]).pipe(
    Effect.catchTag(
      "RangeTooLarge",
      (error) => new GitFailed({ operation: "ls-files", reason: "Unreadable", detail: error.message })
    ),
    Effect.filterOrFail(
      ({ exitCode }) => exitCode === 0,
      ({ exitCode, stderr }) =>
        new GitFailed({ operation: "ls-files", reason: "ExitCode", detail: `${exitCode}: ${line(stderr)}` })
    ),
    // With a slash a path names its one place: `/build` is not every build.
    Effect.map(({ stdout }) =>
      stdout.split("\0").filter((path) => path !== "").map((path) => `/${path.replace(/\/$/, "")}`)
    )
  )

/** The hash of the commit that a tag, a branch, a hash or any other name of git's stands for. */
export const resolve = Effect.fnUntraced(function*(repository: Repository, field: "from" | "to", ref: string) {
  const notFound = new RefNotFound({ field, ref })
  const { exitCode, stdout } = yield* Git.read(repository.gitDirectory, "rev-parse", [
    "--verify",
    "--quiet",
    "--end-of-options",
    `${ref}^{commit}`
  ]).pipe(Effect.catchTag("RangeTooLarge", () => notFound))
  const hash = stdout.trim()
  return exitCode === 0 && isHash(hash) ? hash : yield* notFound
})

const isHash = (text: string) => /^[0-9a-f]{40}([0-9a-f]{24})?$/.test(text)

const coAuthor = /^co-authored-by:([^<]+)/i

/**
 * Somebody may have committed a credential in a message: it is neither stored nor published, and the notes are made all
 * the same. Cut and joined lines may bring another one about.
 */
const cleaned = (message: string): string =>
  Redaction.redactCredentials(lines(cutMiddle(Redaction.redactCredentials(message), messageChars)))

const readCommit = (fields: ReadonlyArray<string>): Commit => {
  const [hash = "", parents = "", author = "", date = "", message = ""] = fields
  const [subject = "", ...rest] = cleaned(message).split("\n")
  const coAuthors = rest.flatMap((text) => {
    const name = line(coAuthor.exec(text)?.[1] ?? "")
    return name === "" ? [] : [cut(name, nameChars)]
  })
  return {
    hash,
    merge: parents.includes(" "),
    author: cut(Redaction.redactCredentials(line(author)), nameChars) || "unknown",
    coAuthors: [...new Set(coAuthors)].slice(0, maxCoAuthors),
    date,
    subject: cut(line(subject), subjectChars) || "(no message)",
    body: cutMiddle(rest.join("\n").trim(), bodyChars)
  }
}

/** Commits that are read without leaving the event loop to others. */
const commitsAtOnce = 64

/** Lets everybody else have a turn. */
const turn = Effect.async<void>((resume) => {
  const handle = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(handle))
})

/** Fields end with NUL, the one character that no message contains. */
const format = ["%H", "%P", "%aN", "%aI", "%B"]

/**
 * The commits reachable from `to` and not from `from` (from the root, if null), latest first, under the names that the
 * mailmap of `to` gives their authors.
 */
export const commits = Effect.fnUntraced(function*(repository: Repository, from: string | null, to: string) {
  const { exitCode, stderr, stdout } = yield* Git.read(repository.gitDirectory, "log", [
    "-z",
    "--encoding=UTF-8",
    "--no-color",
    `--max-count=${maxCommits + 1}`,
    `--format=tformat:${format.join("%x00")}`,
    to,
    ...(from === null ? [] : ["--not", from]),
    "--"
  ], [`mailmap.blob=${to}:.mailmap`])
  if (exitCode !== 0) {
    return yield* new GitFailed({ operation: "log", reason: "ExitCode", detail: `${exitCode}: ${line(stderr)}` })
  }
  const fields = stdout.split("\0")
  const count = (fields.length - 1) / format.length
  if (count > maxCommits) return yield* new RangeTooLarge({ limit: maxCommits, unit: "commits" })
  const found: Array<Commit> = []
  while (found.length < Math.floor(count)) {
    const start = found.length * format.length
    found.push(readCommit(fields.slice(start, start + format.length)))
    if (found.length % commitsAtOnce === 0) yield* turn
  }
  return Number.isInteger(count) && found.every(({ hash }) => isHash(hash)) ? found : yield* new GitFailed({
    operation: "log",
    reason: "Unreadable",
    detail: "The answer is not a list of commits."
  })
})
