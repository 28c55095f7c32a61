import { Command } from "@effect/platform"
import { Effect, Stream } from "effect"

/**
 * Starts a TypeScript program of this repository in a process of its own, with its standard output as lines. The
 * process is killed with the scope; `kill("SIGKILL")` on it is the real thing, because the program runs in the very
 * process that is started.
 */
export const startChild = Effect.fnUntraced(function*(program: string, ...args: ReadonlyArray<string>) {
  const child = yield* Command.make(process.execPath, "scripts/run.mjs", program, ...args).pipe(
    Command.stderr("inherit"),
    Command.start
  )
  return { child, lines: child.stdout.pipe(Stream.decodeText(), Stream.splitLines) }
})
