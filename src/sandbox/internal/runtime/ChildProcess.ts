// @effect-diagnostics nodeBuiltinImport:off -- a sandbox needs descriptors beyond the three that @effect/platform's Command knows
import { Deferred, Effect, FiberId, type Scope } from "effect"
import { spawn } from "node:child_process"
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs"
import { constants } from "node:os"
import type { Duplex, Readable } from "node:stream"
import { RuntimeFailed } from "../../RuntimeError.ts"

interface Launch {
  readonly runtime: string
  readonly file: string
  readonly args: ReadonlyArray<string>
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>
  readonly cwd?: string | undefined
  readonly stdin?: Uint8Array | undefined
  /** Descriptors 3 and on: a number is one of ours to be handed over. */
  readonly descriptors?: ReadonlyArray<"pipe" | "ignore" | number>
  /** Our own descriptors that the child must not find. */
  readonly covered?: ReadonlyArray<number>
  /** A process group of its own. */
  readonly group?: boolean
}

/** How a process ended: its exit code, or 128 + signal, as a shell gives it. */
interface Exit {
  readonly code: number
  readonly signalled: boolean
}

export interface Child {
  readonly pid: number
  readonly stdout: Readable
  readonly stderr: Readable
  /** The other end of a descriptor that is a pipe. */
  readonly pipe: (descriptor: number) => Duplex
  readonly exit: Effect.Effect<Exit>
}

const closeOnExec = 0o2000000

/**
 * Descriptors that whoever started this service left open without close-on-exec. Every child would inherit them, and with
 * them whatever they lead to; node cannot close them, so a child gets /dev/null in their place.
 */
export const inheritedDescriptors: Effect.Effect<ReadonlyArray<number>> = Effect.try(() =>
  readdirSync("/proc/self/fd").map(Number)
).pipe(
  Effect.flatMap(
    Effect.filter((descriptor) =>
      Effect.try(() => readFileSync(`/proc/self/fdinfo/${descriptor}`, "latin1")).pipe(
        Effect.map((info) => {
          const flags = /^flags:\s*([0-7]+)$/m.exec(info)?.[1]
          return descriptor > 2 && flags !== undefined && (Number.parseInt(flags, 8) & closeOnExec) === 0
        }),
        Effect.orElseSucceed(() => false)
      )
    )
  ),
  Effect.orElseSucceed(() => [])
)

const openNull = Effect.acquireRelease(
  Effect.sync(() => openSync("/dev/null", "r+")),
  (descriptor) => Effect.sync(() => closeSync(descriptor))
)

const stdioOf = ({ covered = [], descriptors = [], stdin }: Launch, nothing: number) => {
  const stdio: Array<"pipe" | "ignore" | number> = [
    stdin === undefined ? "ignore" : "pipe",
    "pipe",
    "pipe",
    ...descriptors
  ]
  const last = Math.max(...covered, stdio.length - 1)
  // To node, "ignore" beyond the first three means to leave alone what is there.
  return Array.from({ length: last + 1 }, (_, fd) => stdio[fd] ?? (covered.includes(fd) ? nothing : "ignore"))
}

/** Starts a process, which is killed (it alone, not its children) and awaited when the scope closes. */
export const launch = (options: Launch): Effect.Effect<Child, RuntimeFailed, Scope.Scope> =>
  Effect.flatMap(openNull, (nothing) =>
    Effect.acquireRelease(
      Effect.async<{ readonly child: Child; readonly kill: () => void }, RuntimeFailed>((resume) => {
        const failed = (cause: unknown) =>
          resume(
            new RuntimeFailed({
              runtime: options.runtime,
              reason: "Spawn",
              detail: `${options.file}: ${String(cause)}`
            })
          )
        const spawned = spawn(options.file, options.args, {
          env: options.env,
          cwd: options.cwd,
          detached: options.group === true,
          stdio: stdioOf(options, nothing)
        })
        const exit = Deferred.unsafeMake<Exit>(FiberId.none)
        // What a dead child left unread, or unwritten, is no failure of ours.
        for (const stream of spawned.stdio) stream?.on("error", () => undefined)
        spawned.once("error", failed)
        spawned.once("exit", (code, signal) => {
          Deferred.unsafeDone(
            exit,
            Effect.succeed({
              code: code ?? 128 + (signal === null ? 0 : constants.signals[signal]),
              signalled: signal !== null
            })
          )
        })
        spawned.once("spawn", () => {
          spawned.stdin?.end(options.stdin)
          const child: Child = {
            pid: spawned.pid!,
            stdout: spawned.stdout!,
            stderr: spawned.stderr!,
            pipe: (descriptor) => spawned.stdio[descriptor] as Duplex,
            exit: Deferred.await(exit)
          }
          resume(Effect.succeed({ child, kill: () => spawned.kill("SIGKILL") }))
        })
      }),
      ({ child, kill }) => Effect.zipRight(Effect.sync(kill), child.exit)
    )).pipe(Effect.map(({ child }) => child))
