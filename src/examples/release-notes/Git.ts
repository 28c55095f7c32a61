import { Command, type CommandExecutor } from "@effect/platform"
import { Effect, Stream } from "effect"
import { ReleaseNotesConfig } from "./ReleaseNotesConfig.ts"
import { GitFailed, RangeTooLarge } from "./ReleaseNotesError.ts"

interface Output {
  readonly exitCode: number
  readonly stdout: string
  /** The beginning of it. */
  readonly stderr: string
}

/** Characters that an answer of git may have. */
const answerChars = 32 * 1_048_576
const errorChars = 2_048
const patience = "1 minute"

/** Whatever a repository's own configuration could make git execute, fetch or read from elsewhere is overruled. */
const overrides = [
  "core.fsmonitor=false",
  "core.hooksPath=/dev/null",
  "core.pager=cat",
  // A signature is checked by a program that the repository may name.
  "log.showSignature=false",
  // A partial clone would fetch what it lacks, by a transport of its choice.
  "protocol.allow=never",
  "mailmap.file=/dev/null",
  "color.ui=false"
].flatMap((setting) => ["-c", setting])

/** All that git gets to know of our environment; nothing is inherited. */
const environment = (searchPath: string) => ({
  PATH: searchPath,
  HOME: "/nonexistent",
  LC_ALL: "C",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_TERMINAL_PROMPT: "0",
  GIT_OPTIONAL_LOCKS: "0",
  GIT_NO_LAZY_FETCH: "1",
  GIT_NO_REPLACE_OBJECTS: "1"
})

const failed = (operation: string, reason: GitFailed["reason"], detail: string) =>
  new GitFailed({ operation, reason, detail })

/** Reads one git command to its end; it only ever reads the repository, and is killed after a minute. */
const run = (
  operation: string,
  args: ReadonlyArray<string>,
  ceiling?: string
): Effect.Effect<Output, GitFailed | RangeTooLarge, ReleaseNotesConfig | CommandExecutor.CommandExecutor> =>
  Effect.gen(function*() {
    const { searchPath } = yield* ReleaseNotesConfig
    const process = yield* Command.make("git", "--no-pager", ...overrides, ...args).pipe(
      Command.env(
        { ...environment(searchPath), ...(ceiling !== undefined && { GIT_CEILING_DIRECTORIES: ceiling }) },
        { extendEnv: false }
      ),
      Command.start
    )
    const stdout = process.stdout.pipe(
      Stream.decodeText(),
      Stream.runFoldEffect("", (text, more) =>
        text.length + more.length > answerChars
          ? new RangeTooLarge({ limit: answerChars, unit: "characters" })
          : Effect.succeed(text + more))
    )
    const stderr = process.stderr.pipe(
      Stream.decodeText(),
      Stream.runFold("", (text, more) => text.length >= errorChars ? text : (text + more).slice(0, errorChars))
    )
    return yield* Effect.all({ exitCode: process.exitCode, stdout, stderr }, { concurrency: "unbounded" })
  }).pipe(
    Effect.scoped,
    Effect.catchTags({
      BadArgument: (error) => failed(operation, "NotExecuted", error.message),
      SystemError: (error) => failed(operation, "NotExecuted", error.message)
    }),
    Effect.timeoutFail({
      duration: patience,
      onTimeout: () => failed(operation, "TimedOut", `No answer within ${patience}.`)
    })
  )

/** What the repository at exactly this directory says of itself; nothing above the directory is looked at. */
export const describe = (directory: string, parent: string, questions: ReadonlyArray<string>) =>
  Effect.catchTag(
    run(
      "rev-parse",
      ["-c", `safe.directory=${directory}`, "-C", directory, "rev-parse", "--path-format=absolute", ...questions],
      parent
    ),
    "RangeTooLarge",
    (error) => failed("rev-parse", "Unreadable", error.message)
  )

/** Reads from a git directory whose place has been checked; there is no work tree to it. */
export const read = (
  gitDirectory: string,
  operation: string,
  args: ReadonlyArray<string>,
  settings: ReadonlyArray<string> = []
) =>
  run(operation, [
    ...settings.flatMap((setting) => ["-c", setting]),
    "-C",
    gitDirectory,
    `--git-dir=${gitDirectory}`,
    operation,
    ...args
  ])

/** Reads from the work tree of a repository; both places have been checked. */
export const readTree = (
  { gitDirectory, path }: { readonly gitDirectory: string; readonly path: string },
  operation: string,
  args: ReadonlyArray<string>
) =>
  run(operation, [
    "-c",
    "core.excludesFile=/dev/null",
    "-C",
    path,
    `--git-dir=${gitDirectory}`,
    `--work-tree=${path}`,
    operation,
    ...args
  ])
