import { Command, CommandExecutor } from "@effect/platform"
import { Duration, Effect, Exit, type Redacted, Stream } from "effect"
import { textOfBytes } from "./internal/textOfBytes.ts"
import { orgProvider } from "./OrgSecrets.ts"
import { InvalidSecretInput, SecretNotFound, type SecretUnavailable } from "./SecretError.ts"
import { maxBytes, type SecretProvider, unavailable } from "./SecretProvider.ts"
import { isProviderId, providerBound } from "./SecretRef.ts"

/** How a secret manager's program is called. */
export interface Options {
  /** What references call it; `cmd` unless given, so that several managers can be had side by side. */
  readonly id?: string | undefined
  /**
   * Program and arguments, `{name}` standing for the name of the secret within one of the arguments:
   * `["vault", "kv", "get", "-field=value", "secret/{name}"]`. No shell is involved. The first is a path or is searched in
   * the PATH.
   */
  readonly argv: ReadonlyArray<string>
  /** All that the program gets as its environment; that of the service unless given. */
  readonly environment?: Readonly<Record<string, string>> | undefined
  /** After this it is killed; 10 seconds unless given, at most 2 minutes. */
  readonly timeout?: Duration.DurationInput | undefined
  /** Exit codes by which the program says that there is no such secret. */
  readonly notFoundCodes?: ReadonlyArray<number> | undefined
}

const placeholder = "{name}"
const longest = Duration.minutes(2)
/** Programs of one provider that are executed at once. */
const concurrency = 8

/**
 * The program prints the secret; one line end after it is not part of it. At most 64 KiB are read. What it writes to its
 * standard error is thrown away, since it may quote a secret; it gets no input.
 *
 * It may be executed several times for one use. It is killed with SIGKILL, and what it started in its process group too,
 * when it fails, prints too much, gives no answer in time, or the use is interrupted.
 */
export const make = Effect.fn("CommandProvider.make")(function*(options: Options) {
  const executor = yield* CommandExecutor.CommandExecutor
  const permits = yield* Effect.makeSemaphore(concurrency)
  const { argv: [program = "", ...args], environment, id = "cmd", notFoundCodes = [] } = options
  const timeout = Duration.decode(options.timeout ?? Duration.seconds(10))
  const invalid = (field: string, bound: string) => new InvalidSecretInput({ field, bound })
  if (!isProviderId(id)) return yield* invalid("id", providerBound)
  if (id === orgProvider) {
    return yield* invalid("id", `must not be ${orgProvider}, which is for secrets of organizations`)
  }
  if (program === "" || program.includes(placeholder)) {
    return yield* invalid("argv[0]", `must be a program, without ${placeholder}`)
  }
  if (!args.some((arg) => arg.includes(placeholder))) {
    return yield* invalid("argv", `must have ${placeholder} in one of its arguments`)
  }
  if (Duration.lessThanOrEqualTo(timeout, Duration.zero) || Duration.greaterThan(timeout, longest)) {
    return yield* invalid("timeout", `must be longer than 0 and at most ${Duration.format(longest)}`)
  }

  const execute = Effect.fnUntraced(function*(name: string) {
    const fail = unavailable(id, name)
    const command = Command.make(program, ...args.map((arg) => arg.replaceAll(placeholder, () => name))).pipe(
      Command.stdin(Stream.empty),
      (self) => environment === undefined ? self : Command.env(self, environment, { extendEnv: false })
    )
    const process = yield* executor.start(command)
    // Closing the scope asks the process to end and waits; one that does not listen would be waited for without end.
    yield* Effect.addFinalizer((exit) => Exit.isSuccess(exit) ? Effect.void : Effect.ignore(process.kill("SIGKILL")))
    const bytes = process.stdout.pipe(
      Stream.runFoldEffect(new Uint8Array(0), (read, more) => {
        if (read.length + more.length > maxBytes) return fail("TooLarge", `it has more than ${maxBytes} bytes`)
        const both = new Uint8Array(read.length + more.length)
        both.set(read)
        both.set(more, read.length)
        return Effect.succeed(both)
      })
    )
    const [output, , exitCode] = yield* Effect.all(
      [bytes, Stream.runDrain(process.stderr), process.exitCode],
      { concurrency: "unbounded" }
    )
    if (notFoundCodes.includes(exitCode)) return yield* new SecretNotFound({ provider: id, secretName: name })
    if (exitCode !== 0) return yield* fail("Failed", `${program} ended with exit code ${exitCode}`)
    return yield* textOfBytes(id, name, output)
  })

  const read = (name: string): Effect.Effect<Redacted.Redacted, SecretNotFound | SecretUnavailable> => {
    const fail = unavailable(id, name)
    // Of a platform error its reason only: its text quotes the command.
    const failed = ({ reason }: { readonly reason: string }) => fail("Failed", `${program} did not run (${reason})`)
    return execute(name).pipe(
      Effect.scoped,
      Effect.catchTags({
        BadArgument: () => failed({ reason: "BadArgument" }),
        SystemError: failed
      }),
      Effect.timeoutFail({
        duration: timeout,
        onTimeout: () => fail("TimedOut", `${program} gave no answer within ${Duration.format(timeout)}`)
      }),
      permits.withPermits(1)
    )
  }
  const provider: SecretProvider = { id, read }
  return provider
})
