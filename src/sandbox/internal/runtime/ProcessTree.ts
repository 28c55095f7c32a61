// @effect-diagnostics nodeBuiltinImport:off -- signals by process id, and /proc read at once: what is listed may be gone at the next turn
import { Clock, Effect, Schedule } from "effect"
import { readdirSync, readFileSync } from "node:fs"

/** A process, told from a later one with the same id by the time it started. */
export interface Identity {
  readonly pid: number
  /** Clock ticks after boot: field 22 of /proc/PID/stat, proc(5). */
  readonly startTime: string
}

/** Fields of /proc/PID/stat from the third on; the second, the name, may hold anything, parentheses included. */
const fieldsOf = (pid: number): Effect.Effect<ReadonlyArray<string>> =>
  Effect.try(() => readFileSync(`/proc/${pid}/stat`, "latin1")).pipe(
    Effect.map((stat) => stat.slice(stat.lastIndexOf(")") + 2).split(" ")),
    Effect.orElseSucceed(() => [])
  )

const stateField = 0
const startTimeField = 19

export const identify = (pid: number): Effect.Effect<Identity> =>
  Effect.map(fieldsOf(pid), (fields) => ({ pid, startTime: fields[startTimeField] ?? "" }))

/** Whether it still runs; one that is dead and not yet waited for does not. */
const isAlive = ({ pid, startTime }: Identity): Effect.Effect<boolean> =>
  Effect.map(
    fieldsOf(pid),
    (fields) => fields[startTimeField] === startTime && fields[stateField] !== "Z" && fields[stateField] !== "X"
  )

export const kill = (identity: Identity): Effect.Effect<void> =>
  Effect.whenEffect(Effect.ignore(Effect.try(() => process.kill(identity.pid, "SIGKILL"))), isAlive(identity)).pipe(
    Effect.asVoid
  )

const patience = Schedule.upTo(Schedule.spaced("2 millis"), "1 second")

/** Waits until it is dead, real time whatever clock the service was given; false when it is not after a second. */
export const awaitDeath = (identity: Identity): Effect.Effect<boolean> =>
  isAlive(identity).pipe(
    Effect.repeat({ until: (alive) => !alive, schedule: patience }),
    Effect.zipRight(Effect.negate(isAlive(identity))),
    Effect.withClock(Clock.make())
  )

const childrenOf = (pid: number): Effect.Effect<ReadonlyArray<number>> =>
  Effect.try(() =>
    readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, "latin1").split(" ").filter((id) => id !== "").map(Number)
    )
  ).pipe(Effect.orElseSucceed(() => []))

/** All processes below one, itself first. The first process of a pid namespace has everybody in it below itself. */
export const descendants = (pid: number): Effect.Effect<ReadonlyArray<number>> =>
  Effect.map(
    Effect.flatMap(childrenOf(pid), Effect.forEach(descendants)),
    (below) => [pid, ...below.flat()]
  )

/** Bytes that a process holds, what it shares divided by who shares it: `Pss` of /proc/PID/smaps_rollup, proc(5). */
export const proportionalSize = (pid: number): Effect.Effect<number> =>
  Effect.try(() => readFileSync(`/proc/${pid}/smaps_rollup`, "latin1")).pipe(
    Effect.map((rollup) => 1_024 * Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0)),
    Effect.orElseSucceed(() => 0)
  )

const hasInEnvironment = (pid: string, variable: string): Effect.Effect<boolean> =>
  Effect.try(() => readFileSync(`/proc/${pid}/environ`, "latin1")).pipe(
    Effect.map((environment) => environment.split("\0").includes(variable)),
    Effect.orElseSucceed(() => false)
  )

/** Kills every process of the machine that was started with a variable, again and again until there is none. */
export const killMarked = (variable: string): Effect.Effect<void> =>
  Effect.try(() => readdirSync("/proc").filter((name) => /^\d+$/.test(name))).pipe(
    Effect.orElseSucceed((): ReadonlyArray<string> => []),
    Effect.flatMap(Effect.filter((pid) => hasInEnvironment(pid, variable))),
    Effect.tap(Effect.forEach((pid) => Effect.ignore(Effect.try(() => process.kill(Number(pid), "SIGKILL"))))),
    Effect.repeat({ until: (found) => found.length === 0, schedule: patience }),
    Effect.withClock(Clock.make()),
    Effect.asVoid
  )
