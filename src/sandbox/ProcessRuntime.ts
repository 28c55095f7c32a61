import { Clock, Effect } from "effect"
import { checkSpec } from "./internal/runtime/checkSpec.ts"
import { inheritedDescriptors, launch } from "./internal/runtime/ChildProcess.ts"
import { collect } from "./internal/runtime/Output.ts"
import { killMarked } from "./internal/runtime/ProcessTree.ts"
import { RuntimeConfig } from "./RuntimeConfig.ts"
import { ControlNotEnforced, RuntimeUnavailable } from "./RuntimeError.ts"
import { limitsOf, type SandboxPolicy } from "./SandboxPolicy.ts"
import type { Outcome, Runtime, Spec } from "./SandboxRuntime.ts"

const runtime = "process"

/** Controls of a policy that a bare process escapes; only time and output are bounded. */
const isolating = ["memoryLimit", "cpuLimit", "pidsLimit", "diskLimit", "fileSize", "openFiles", "image"] as const

const askedFor = (policy: SandboxPolicy): string | undefined =>
  isolating.find((control) => policy[control] !== undefined) ??
    (typeof policy.allowNetwork === "object" ? "allowNetwork.hosts" : undefined) ??
    // What listens there listens on the host.
    (policy.ports.some(({ host, sandbox }) => host !== sandbox) ? "ports" : undefined) ??
    (policy.volumes.length > 0 ? "volumes" : undefined)

const supports = (policy: SandboxPolicy): Effect.Effect<void, ControlNotEnforced> => {
  const control = askedFor(policy)
  return control === undefined
    ? Effect.void
    : new ControlNotEnforced({ runtime, control, reason: "Unsupported", detail: "it isolates nothing." })
}

/** Every process of a command carries it, wherever it has gone, unless it took pains to lose it. */
const markName = "SMITHERS_PROCESS_MARK"

/**
 * No isolation at all, for development: the command runs as this service does, in the workspace itself, with whatever
 * network there is (also when `allowNetwork` was not asked for). Refused in production.
 */
export const make = Effect.gen(function*() {
  const { environment } = yield* RuntimeConfig
  const covered = yield* inheritedDescriptors
  let runs = 0

  const check = environment === "production"
    ? new RuntimeUnavailable({
      runtime,
      reason: "Forbidden",
      detail: "it isolates nothing, and SMITHERS_ENV is production. Use bubblewrap or a container engine."
    })
    : Effect.void

  const run = Effect.fn("ProcessRuntime.run")(function*(spec: Spec) {
    yield* checkSpec(spec)
    yield* check
    yield* supports(spec.policy)
    yield* Effect.logWarning(
      "A command runs WITHOUT ISOLATION: it can read, change and reach whatever this service can. The process runtime is for development."
    )
    const limits = limitsOf(spec.policy)
    const mark = `${process.pid}-${++runs}`
    yield* Effect.addFinalizer(() => killMarked(`${markName}=${mark}`))
    const [file = "", ...args] = spec.ownCode === undefined ? spec.command : [process.execPath, ...spec.command]
    const child = yield* launch({
      runtime,
      file,
      args,
      cwd: spec.workspace,
      env: {
        PATH: "/usr/local/bin:/usr/bin:/bin",
        HOME: spec.workspace,
        LANG: "C.UTF-8",
        ...spec.env,
        [markName]: mark
      },
      stdin: spec.stdin,
      covered
    })
    const output = yield* collect(child, limits.maxOutputBytes, spec.onOutput)
    const startedAt = yield* Clock.currentTimeMillis
    const end = yield* Effect.raceAll([
      Effect.map(child.exit, ({ code }) => ({ reason: "exited" as const, code })),
      Effect.as(Effect.sleep(limits.timeout), { reason: "timeout" as const, code: null }),
      Effect.as(output.overflow, { reason: "output" as const, code: null })
    ])
    const durationMs = (yield* Clock.currentTimeMillis) - startedAt
    yield* killMarked(`${markName}=${mark}`)
    yield* output.drained
    const truncated = output.truncated()
    const outcome: Outcome = {
      reason: truncated ? "output" : end.reason,
      exitCode: truncated ? null : end.code,
      durationMs,
      outputBytes: output.bytes(),
      outputTruncated: truncated,
      skipped: []
    }
    return outcome
  }, Effect.scoped)

  const process_: Runtime = { name: runtime, isolated: false, runsOwnCode: true, check, supports, run }
  return process_
})
