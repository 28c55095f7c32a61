// @effect-diagnostics nodeBuiltinImport:off -- @effect/platform's FileSystem has no statfs
import { Clock, Effect } from "effect"
import { statfsSync } from "node:fs"
import { descendants, proportionalSize } from "./ProcessTree.ts"

/** How often a running sandbox is looked at; it can outgrow its limits for no longer than this. */
const interval = "100 millis"

/** Files and directories that a sandbox may have; each costs the kernel about a KiB that no size limit counts. */
const maxInodes = 262_144

const inodesOf = (descriptor: number): Effect.Effect<number> =>
  Effect.try(() => statfsSync(`/proc/self/fd/${descriptor}`)).pipe(
    Effect.map(({ ffree, files }) => files - ffree),
    Effect.orElseSucceed(() => 0)
  )

const sum = Effect.reduce<number, number, never, never>

/**
 * Completes when the processes below one hold more memory together than the limit, or their file systems more files than
 * is good. For machines without a cgroup of ours: a single process is stopped by its own limit at once, all of them
 * together by this.
 */
export const watchUsage = (watched: {
  readonly init: number
  readonly memoryLimit: number
  /** Open directories, one for each file system of the sandbox. */
  readonly fileSystems: ReadonlyArray<number>
}): Effect.Effect<"memory" | "disk"> =>
  Effect.gen(function*() {
    const pids = yield* descendants(watched.init)
    const bytes = yield* sum(pids, 0, (total, pid) => Effect.map(proportionalSize(pid), (size) => total + size))
    if (bytes > watched.memoryLimit) return "memory" as const
    const inodes = yield* sum(
      watched.fileSystems,
      0,
      (total, descriptor) => Effect.map(inodesOf(descriptor), (used) => total + used)
    )
    return inodes > maxInodes ? "disk" as const : undefined
  }).pipe(
    Effect.delay(interval),
    Effect.repeat({ until: (exceeded) => exceeded !== undefined }),
    Effect.map((exceeded) => exceeded!),
    Effect.withClock(Clock.make())
  )
