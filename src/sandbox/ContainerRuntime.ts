import { FileSystem, Path } from "@effect/platform"
import { NodeStream } from "@effect/platform-node"
import { Clock, Effect, Option } from "effect"
import { randomUUID } from "node:crypto"
import { containerArguments } from "./ContainerArguments.ts"
import { checkSpec } from "./internal/runtime/checkSpec.ts"
import { inheritedDescriptors, launch } from "./internal/runtime/ChildProcess.ts"
import { collect } from "./internal/runtime/Output.ts"
import { openVolumes } from "./internal/runtime/Volumes.ts"
import { RuntimeConfig } from "./RuntimeConfig.ts"
import { ControlNotEnforced, PolicyInvalid, RuntimeFailed, RuntimeUnavailable } from "./RuntimeError.ts"
import { hostsOf, limitsOf, type SandboxPolicy } from "./SandboxPolicy.ts"
import type { Outcome, Runtime, Spec } from "./SandboxRuntime.ts"

/** How long an engine may think about anything but the command itself; real time. */
const patience = "20 seconds"

const unsupported = (policy: SandboxPolicy): readonly [string, string] | undefined => {
  if (hostsOf(policy).length > 0) {
    return ["allowNetwork", "a container gets no network; use bubblewrap for a list of hosts"]
  }
  if (policy.ports.length > 0) {
    return ["ports", "a container gets no network, and the one that its ports need leads out"]
  }
  if (policy.diskLimit !== undefined) return ["diskLimit", "the workspace is a directory of the host"]
  return undefined
}

/**
 * The runtime of a container engine, `docker` or `podman`, by its command line. The engine does the isolating: what it
 * really enforces is for the probe to say. `image` is needed and never pulled.
 */
export const make = (name: "docker" | "podman") =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const settings = yield* RuntimeConfig
    const covered = yield* inheritedDescriptors
    const failed = (reason: RuntimeFailed["reason"], detail: unknown) =>
      new RuntimeFailed({ runtime: name, reason, detail: String(detail) })

    const start = (args: ReadonlyArray<string>, stdin?: Uint8Array) =>
      launch({ runtime: name, file: settings.engines[name], args, env: settings.engineEnvironment, stdin, covered })

    /** Asks the engine something and gives its answer. */
    const ask = (...args: ReadonlyArray<string>) =>
      Effect.gen(function*() {
        const child = yield* start(args)
        const text = (stream: "stdout" | "stderr") =>
          NodeStream.toString(() => child[stream], { onFailure: String, maxBytes: 65_536 })
        const [answer, complaint, { code }] = yield* Effect.all([text("stdout"), text("stderr"), child.exit], {
          concurrency: 3
        })
        return code === 0 ? answer.trim() : yield* failed("Setup", complaint.trim() || `exit code ${code}`)
      }).pipe(
        Effect.scoped,
        Effect.catchIf((error) => typeof error === "string", (text) => failed("Setup", text)),
        Effect.timeoutFail({ duration: patience, onTimeout: () => failed("Setup", `no answer in ${patience}`) }),
        Effect.withClock(Clock.make())
      )

    const check = ask("info").pipe(
      Effect.mapError(({ detail }) => new RuntimeUnavailable({ runtime: name, reason: "NotWorking", detail })),
      Effect.asVoid
    )

    const supports = (policy: SandboxPolicy): Effect.Effect<void, ControlNotEnforced> => {
      const problem = unsupported(policy)
      return problem === undefined
        ? Effect.void
        : new ControlNotEnforced({
          runtime: name,
          control: problem[0],
          reason: "Unsupported",
          detail: `${problem[1]}.`
        })
    }

    const environmentFile = (env: Spec["env"]) =>
      Effect.gen(function*() {
        const broken = Object.keys(env).find((variable) => /[\r\n]/.test(env[variable]!))
        if (broken !== undefined) {
          return yield* new PolicyInvalid({
            field: `env.${broken}`,
            bound: `must be one line, for ${name} takes no other`
          })
        }
        const file = path.join(yield* fs.makeTempDirectoryScoped({ prefix: "smithers-container-" }), "env")
        yield* fs.writeFileString(file, Object.entries(env).map(([key, value]) => `${key}=${value}\n`).join(""), {
          mode: 0o600
        })
        return file
      }).pipe(Effect.catchTags({
        BadArgument: (cause) => failed("Setup", cause.message),
        SystemError: (cause) => failed("Setup", cause.message)
      }))

    /** A container that is not started yet, and is gone with the scope whatever it does then. */
    const create = (spec: Spec) =>
      Effect.gen(function*() {
        const { image } = spec.policy
        if (image === undefined) return yield* new PolicyInvalid({ field: "image", bound: `must be given for ${name}` })
        yield* openVolumes(spec.policy, settings.volumeRoots)
        const { gid, uid } = yield* Effect.mapError(
          fs.stat(spec.workspace),
          (cause) => failed("WorkspaceUnreadable", cause.message)
        )
        const container = `smithers-${randomUUID()}`
        yield* Effect.addFinalizer(() => Effect.ignore(ask("rm", "--force", container)))
        yield* ask(...containerArguments({
          name: container,
          image,
          policy: spec.policy,
          workspace: spec.workspace,
          user: { uid: Option.getOrElse(uid, () => 65_534), gid: Option.getOrElse(gid, () => 65_534) },
          environmentFile: yield* environmentFile(spec.env),
          command: spec.command
        }))
        return container
      })

    const run = Effect.fn("ContainerRuntime.run")(function*(spec: Spec) {
      yield* checkSpec(spec)
      yield* supports(spec.policy)
      yield* check
      const limits = limitsOf(spec.policy)
      const container = yield* create(spec)
      const child = yield* start(["start", "--attach", "--interactive", container], spec.stdin ?? new Uint8Array())
      const output = yield* collect(child, limits.maxOutputBytes, spec.onOutput)
      const startedAt = yield* Clock.currentTimeMillis
      const reason = yield* Effect.raceAll([
        Effect.as(child.exit, "exited" as const),
        Effect.as(Effect.sleep(limits.timeout), "timeout" as const),
        Effect.as(output.overflow, "output" as const)
      ])
      const durationMs = (yield* Clock.currentTimeMillis) - startedAt
      if (reason !== "exited") yield* ask("kill", container)
      yield* output.drained
      const state = yield* ask("inspect", "--format", "{{.State.OOMKilled}} {{.State.ExitCode}}", container)
      const [starved, exitCode] = state.split(" ")
      const truncated = output.truncated()
      const why = truncated ? "output" : reason !== "exited" ? reason : starved === "true" ? "memory" : "exited"
      const outcome: Outcome = {
        reason: why,
        exitCode: why === "exited" ? Number(exitCode) : null,
        durationMs,
        outputBytes: output.bytes(),
        outputTruncated: truncated,
        skipped: []
      }
      return outcome
    }, Effect.scoped)

    const runtime: Runtime = { name, isolated: true, runsOwnCode: false, check, supports, run }
    return runtime
  })
