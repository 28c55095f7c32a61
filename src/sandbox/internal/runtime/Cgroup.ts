import { FileSystem, Path } from "@effect/platform"
import { Clock, Effect, Schedule } from "effect"
import { randomUUID } from "node:crypto"
import { RuntimeFailed } from "../../RuntimeError.ts"
import { limitsOf, type SandboxPolicy } from "../../SandboxPolicy.ts"

/** A cgroup of one sandbox; gone with the scope, and whoever is in it is killed then. */
export interface Cgroup {
  /** What a command line begins with to run in it. */
  readonly enter: ReadonlyArray<string>
  /** Whether the kernel killed somebody in it for want of memory. */
  readonly starved: Effect.Effect<boolean>
}

/** Microseconds that `cpu.max` divides. */
const period = 100_000

/** Processes of the sandbox that are not the command's, with room for the relay. */
const ownProcesses = 24

const filesOf = (policy: SandboxPolicy): Readonly<Record<string, string>> => {
  const limits = limitsOf(policy)
  return {
    // Files in memory count as memory here, and have bounds of their own: those are allowed for.
    "memory.max": String(limits.memoryLimit + 2 * limits.diskLimit),
    "memory.swap.max": "0",
    "memory.oom.group": "1",
    "pids.max": String(limits.pidsLimit + ownProcesses),
    ...(policy.cpuLimit === undefined ? {} : { "cpu.max": `${Math.ceil(policy.cpuLimit * period)} ${period}` })
  }
}

/** Makes a cgroup (v2, the kernel's cgroup-v2.rst) below a delegated one, with the limits of a policy. */
export const makeCgroup = (root: string, policy: SandboxPolicy) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const directory = path.join(root, `smithers-${randomUUID()}`)
    // The kernel lets go of a cgroup a moment after its last process.
    const remove = fs.remove(directory).pipe(
      Effect.retry(Schedule.upTo(Schedule.spaced("5 millis"), "500 millis")),
      Effect.withClock(Clock.make()),
      Effect.ignore
    )
    yield* Effect.acquireRelease(fs.makeDirectory(directory), () =>
      Effect.zipRight(Effect.ignore(fs.writeFileString(path.join(directory, "cgroup.kill"), "1")), remove))
    yield* Effect.forEach(Object.entries(filesOf(policy)), ([name, text]) =>
      fs.writeFileString(path.join(directory, name), text))
    const cgroup: Cgroup = {
      enter: ["/bin/sh", "-c", `echo $$ > "$0/cgroup.procs" && exec "$@"`, directory],
      starved: fs.readFileString(path.join(directory, "memory.events")).pipe(
        Effect.map((events) =>
          /^oom_kill [1-9]/m.test(events)
        ),
        Effect.orElseSucceed(() =>
          false
        )
      )
    }
    return cgroup
  }).pipe(
    Effect.mapError((cause) => new RuntimeFailed({ runtime: "bubblewrap", reason: "Setup", detail: cause.message }))
  )
