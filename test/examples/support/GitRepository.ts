import { Command, type CommandExecutor, FileSystem, Path } from "@effect/platform"
import { Effect, Stream } from "effect"

/** A repository that the test builds with real git, commit by commit, always the same. */
export interface GitRepository {
  readonly path: string
  /** Runs git in it and answers what it printed. */
  readonly git: (...args: ReadonlyArray<string>) => Effect.Effect<string>
  /** Commits the message as it is, at the next minute, and answers the hash. */
  readonly commit: (message: string, options?: CommitOptions) => Effect.Effect<string>
  /** Commits many at once, upon the last commit if there is one. */
  readonly commitMany: (messages: ReadonlyArray<string>) => Effect.Effect<void>
  /** Commits a message of any bytes. */
  readonly commitBytes: (message: Uint8Array) => Effect.Effect<void>
}

export interface CommitOptions {
  readonly author?: string
  readonly parents?: ReadonlyArray<string>
  /** Hash of what the commit contains; nothing unless given. */
  readonly tree?: string
}

const environment = {
  PATH: "/usr/local/bin:/usr/bin:/bin",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_AUTHOR_EMAIL: "author@example.org",
  GIT_COMMITTER_NAME: "Committer",
  GIT_COMMITTER_EMAIL: "committer@example.org"
}

/** 2026-03-01T09:00:00Z */
const firstCommitAt = 1_772_355_600

export const make = Effect.fnUntraced(
  function*(path: string) {
    const context = yield* Effect.context<CommandExecutor.CommandExecutor | FileSystem.FileSystem>()
    const run = (
      args: ReadonlyArray<string>,
      input: string | Uint8Array,
      more: Readonly<Record<string, string>> = {}
    ) =>
      Command.make("git", "-C", path, ...args).pipe(
        Command.env({ ...environment, ...more }, { extendEnv: false }),
        Command.stdin(Stream.make(typeof input === "string" ? new TextEncoder().encode(input) : input)),
        Command.start,
        Effect.flatMap(({ exitCode, stderr, stdout }) =>
          Effect.all(
            [exitCode, Stream.mkString(Stream.decodeText(stdout)), Stream.mkString(Stream.decodeText(stderr))],
            {
              concurrency: "unbounded"
            }
          )
        ),
        Effect.scoped,
        Effect.flatMap(([code, text, problem]) =>
          code === 0 ? Effect.succeed(text.trim()) : Effect.dieMessage(`git ${args.join(" ")}: ${problem}`)
        ),
        Effect.provide(context),
        Effect.orDie
      )
    const fs = yield* FileSystem.FileSystem
    yield* fs.makeDirectory(path, { recursive: true })
    yield* run(["init", "--quiet", "--initial-branch=main"], "")
    const empty = yield* run(["mktree"], "")
    let commits = 0
    let head: string | undefined
    const commit = (message: string, { author = "Ada Lovelace", parents, tree = empty }: CommitOptions = {}) =>
      Effect.gen(function*() {
        const at = `${firstCommitAt + 60 * commits++} +0000`
        const before = parents ?? (head === undefined ? [] : [head])
        const hash = yield* run(
          ["commit-tree", tree, ...before.flatMap((parent) => ["-p", parent]), "-F", "-"],
          message,
          {
            GIT_AUTHOR_NAME: author,
            GIT_AUTHOR_DATE: at,
            GIT_COMMITTER_DATE: at
          }
        )
        yield* run(["update-ref", "refs/heads/main", hash], "")
        head = hash
        return hash
      })
    const fastImport = (messages: ReadonlyArray<Uint8Array>) =>
      Effect.asVoid(run(
        ["fast-import", "--quiet", "--force"],
        Buffer.concat(messages.flatMap((message, index) => [
          Buffer.from(
            `commit refs/heads/main\ncommitter Ada Lovelace <author@example.org> ${firstCommitAt + index} +0000\n` +
              `data ${message.length}\n`
          ),
          message,
          Buffer.from("\n")
        ]))
      ))
    const commitMany = (messages: ReadonlyArray<string>) =>
      fastImport(messages.map((message) => new TextEncoder().encode(message)))
    const commitBytes = (message: Uint8Array) => fastImport([message])
    return { path, commit, commitBytes, commitMany, git: (...args) => run(args, "") } satisfies GitRepository
  }
)

/** A repository in a new folder of this name below `parent`. */
export const makeIn = (parent: string, name: string) =>
  Effect.flatMap(Path.Path, (path) => make(path.join(parent, name)))

export const writeFile = (file: string, text: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.writeFileString(file, text))
