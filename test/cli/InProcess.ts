import { Terminal } from "@effect/platform"
import { type Console, Effect, Layer, Mailbox } from "effect"
import { Cli } from "../../src/cli/index.ts"
import { address, adminToken } from "../gateway/support/Service.ts"
import type { Ended } from "./Smithers.ts"

/**
 * A command line in this process, against the gateway of the test: for what commands say. That the tool can be started at
 * all is for `Smithers.ts`.
 */
export const commandLine = (...args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const { url } = yield* address
    let stdout = ""
    let stderr = ""
    const terminal = Terminal.Terminal.of({
      columns: Effect.succeed(80),
      rows: Effect.succeed(24),
      isTTY: Effect.succeed(false),
      readInput: Effect.flatMap(Mailbox.make<Terminal.UserInput>(), (mailbox) => Effect.as(mailbox.end, mailbox)),
      readLine: Effect.fail(new Terminal.QuitException()),
      display: (text) =>
        Effect.sync(() => {
          stdout += text
        })
    })
    const outer = yield* Effect.console
    const console: Console.Console = {
      ...outer,
      error: (...parts) =>
        Effect.sync(() => {
          stderr += `${parts.join(" ")}\n`
        })
    }
    const missing = Effect.dieMessage("not in this test")
    const [noun = "", verb = "", ...rest] = args
    const argv = ["node", "smithers", noun, verb, "--url", url, "--token", adminToken, ...rest]
    const code = yield* Cli.run<never, never, never>(argv, {
      app: Effect.succeed(Layer.die("not in this test")),
      checkConfig: missing,
      work: missing,
      version: "0.0.0"
    }).pipe(Effect.withConsole(console), Effect.provideService(Terminal.Terminal, terminal))
    const ended: Ended = { code, stdout, stderr }
    return ended
  })
