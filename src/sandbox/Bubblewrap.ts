import { FileSystem, Path } from "@effect/platform"
import { NodeStream } from "@effect/platform-node"
import { Clock, Effect, Option, Scope } from "effect"
import { bubblewrapOptions, descriptors, initScript, nodeBinary } from "./BubblewrapArguments.ts"
import { EgressProxy } from "./EgressProxy.ts"
import { type Cgroup, makeCgroup } from "./internal/runtime/Cgroup.ts"
import { checkSpec } from "./internal/runtime/checkSpec.ts"
import { type Child, inheritedDescriptors, launch } from "./internal/runtime/ChildProcess.ts"
import { openDirectory, openFile } from "./internal/runtime/Descriptor.ts"
import { awaitText } from "./internal/runtime/Handshake.ts"
import { findHost, type Host } from "./internal/runtime/Host.ts"
import { collect } from "./internal/runtime/Output.ts"
import { placeOwnCode } from "./internal/runtime/OwnCode.ts"
import { forwardPorts } from "./internal/runtime/PortForward.ts"
import { awaitDeath, descendants, identify, type Identity, kill } from "./internal/runtime/ProcessTree.ts"
import { makeSkeleton, type Skeleton } from "./internal/runtime/Skeleton.ts"
import { watchUsage } from "./internal/runtime/UsageWatch.ts"
import { makeUserIds } from "./internal/runtime/UserIds.ts"
import { openVolumes } from "./internal/runtime/Volumes.ts"
import { witness } from "./internal/runtime/Witness.ts"
import { replaceWorkspace } from "./internal/runtime/Workspace.ts"
import { RuntimeConfig } from "./RuntimeConfig.ts"
import { ControlNotEnforced, RuntimeFailed, RuntimeUnavailable } from "./RuntimeError.ts"
import { hostsOf, limitsOf, parse, type SandboxPolicy } from "./SandboxPolicy.ts"
import type { Outcome, Runtime, Spec } from "./SandboxRuntime.ts"

const runtime = "bubblewrap"

/** Until a sandbox stands; real time. */
const setupTimeout = "30 seconds"

const failed = (reason: RuntimeFailed["reason"], detail: unknown) =>
  new RuntimeFailed({ runtime, reason, detail: String(detail) })

/** Controls that need something this runtime does not have. */
const unsupported = (policy: SandboxPolicy, hasCgroup: boolean): readonly [string, string] | undefined => {
  // Nobody else may enter a network namespace whose owner is a user namespace that nobody is in any more.
  if (policy.ports.length > 0 && process.getuid?.() !== 0) {
    return ["ports", "the way into a network namespace is open to a service that is root only"]
  }
  if (policy.image !== undefined) return ["image", "the system is that of the host"]
  if (policy.cpuLimit !== undefined && !Number.isInteger(policy.cpuLimit) && !hasCgroup) {
    return ["cpuLimit", "parts of a core need a cgroup (SMITHERS_SANDBOX_CGROUP), without one there are whole cores"]
  }
  return undefined
}

/** The cores a sandbox may use, in turn, so that not all sandboxes share the first one. */
const coresFor = (limit: number, cores: number, turn: number) =>
  Array.from({ length: limit }, (_, i) => (turn + i) % cores).join(",")

/** A sandbox that stands and waits for the word to go. */
interface Standing {
  readonly child: Child
  /** The first process of its pid namespace: with it, all of them die. */
  readonly init: Identity
  readonly workspace: number
  readonly fileSystems: ReadonlyArray<number>
  readonly go: Effect.Effect<void>
  readonly starved: Effect.Effect<boolean>
}

export const make = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const proxy = yield* EgressProxy
  const settings = yield* RuntimeConfig
  const covered = yield* inheritedDescriptors
  const userIds = makeUserIds(runtime, settings.firstUserId)
  const layerScope = yield* Effect.scope
  const foundation = yield* Effect.cached(
    Effect.gen(function*() {
      const host = yield* findHost
      const skeleton = yield* makeSkeleton(host.architecture, host.node).pipe(
        Effect.mapError((cause) => new RuntimeUnavailable({ runtime, reason: "NotWorking", detail: cause.message }))
      )
      return { host, skeleton }
    }).pipe(
      Effect.provideService(FileSystem.FileSystem, fs),
      Effect.provideService(Path.Path, path),
      Effect.provideService(Scope.Scope, layerScope)
    )
  )
  let turn = 0

  const supports = (policy: SandboxPolicy): Effect.Effect<void, ControlNotEnforced> => {
    const problem = unsupported(policy, Option.isSome(settings.cgroupRoot))
    return problem === undefined
      ? Effect.void
      : new ControlNotEnforced({ runtime, control: problem[0], reason: "Unsupported", detail: `${problem[1]}.` })
  }

  /** The program that starts all, with what comes before bwrap: fewer cores, another user. */
  const commandLine = (
    spec: Spec,
    host: Host,
    userId: number,
    networked: boolean,
    cgroup: Cgroup | undefined
  ): ReadonlyArray<string> => [
    ...(cgroup?.enter ?? []),
    ...(cgroup !== undefined || spec.policy.cpuLimit === undefined || spec.policy.cpuLimit >= host.cores
      ? []
      : [host.tool("taskset"), "--cpu-list", coresFor(spec.policy.cpuLimit, host.cores, turn++)]),
    ...asUser(host, userId),
    ...[host.tool("bwrap"), "--args", String(descriptors.options), "--"],
    ...["/bin/sh", "-c", initScript(spec.policy, networked), "sh"],
    ...(spec.ownCode === undefined ? [] : [nodeBinary]),
    ...spec.command
  ]

  /** The way in for connections to the ports of a sandbox. */
  const openPorts = (spec: Spec, host: Host, skeleton: Skeleton, init: Identity, userId: number) =>
    Effect.flatMap(Effect.mapError(skeleton.node, (cause) => failed("Setup", cause.message)), (node) =>
      forwardPorts({
        runtime,
        ports: spec.policy.ports,
        enter: [host.tool("nsenter"), `--target=${init.pid}`, "--net", "--", ...asUser(host, userId)],
        userId,
        node,
        program: skeleton.ports,
        covered
      }))

  const open = (file: string, opening: typeof openFile) =>
    Effect.mapError(opening(file), (cause) => failed("Setup", cause.cause))

  /** Sends the workspace into the sandbox. */
  const shipWorkspace = (spec: Spec, host: Host, child: Child) =>
    Effect.gen(function*() {
      const tar = yield* launch({
        runtime,
        file: host.tool("tar"),
        args: ["-C", spec.workspace, "-cf", "-", "."],
        env: {}
      })
      tar.stdout.pipe(child.pipe(descriptors.archive))
      const [{ code }, complaint] = yield* Effect.all([tar.exit, textOf(tar)], { concurrency: 2 })
      if (code !== 0) return yield* failed("WorkspaceUnreadable", complaint)
    })

  const raise = (spec: Spec) =>
    Effect.gen(function*() {
      const { host, skeleton } = yield* foundation
      const hosts = hostsOf(spec.policy)
      const networked = hosts.length > 0
      const pinned = spec.policy.cpuLimit !== undefined && spec.policy.cpuLimit < host.cores
      const cgroup = yield* Effect.transposeOption(
        Option.map(settings.cgroupRoot, (root) => makeCgroup(root, spec.policy))
      ).pipe(Effect.map(Option.getOrUndefined))
      const userId = host.userId === 0 ? yield* userIds : host.userId
      const egress = networked ? (yield* proxy.open(hosts, userId)).socket : undefined
      const node = networked || spec.ownCode !== undefined
        ? yield* Effect.mapError(skeleton.node, (cause) => failed("Setup", cause.message))
        : undefined
      const ownCode = yield* Effect.mapError(
        placeOwnCode(spec.ownCode ?? [], userId !== host.userId),
        ({ message }) => failed("Setup", message)
      )
      const volumes = yield* openVolumes(spec.policy, settings.volumeRoots)
      const filter = yield* open(pinned ? skeleton.pinnedFilter : skeleton.filter, openFile)
      const [file = "", ...args] = commandLine(spec, host, userId, networked, cgroup)
      const child = yield* launch({
        runtime,
        file,
        args,
        env: {},
        stdin: spec.stdin,
        descriptors: ["pipe", filter, "pipe", "pipe", "pipe", ...volumes],
        covered
      })
      const options = bubblewrapOptions({ policy: spec.policy, env: spec.env, skeleton, egress, node, ownCode })
      child.pipe(descriptors.options).end(options.map((option) => `${option}\0`).join(""))
      const control = child.pipe(descriptors.control)
      const standing = Effect.all([
        Effect.flatMap(awaitText(child.pipe(descriptors.status), /"child-pid": (\d+)/), ([, pid]) =>
          Effect.acquireRelease(identify(Number(pid)), (init) =>
            Effect.zipRight(kill(init), awaitDeath(init)))),
        Effect.filterOrFail(awaitText(control, /^[rx]/), ([said]) =>
          said === "r", () =>
          failed("Setup", "the relay to the egress proxy does not start")),
        shipWorkspace(spec, host, child)
      ], { concurrency: 3 })
      const [init] = yield* standing.pipe(
        Effect.catchIf((error) =>
          error === "Ended", () =>
          Effect.flatMap(textOf(child), (complaint) =>
            failed("Setup", complaint))),
        Effect.timeoutFail({
          duration: setupTimeout,
          onTimeout: () =>
            failed("Setup", `not ready in ${setupTimeout}`)
        }),
        Effect.withClock(Clock.make())
      )
      yield* lookAt(init, userId)
      if (spec.policy.ports.length > 0) {
        yield* openPorts(spec, host, skeleton, init, userId)
      }
      const root = `/proc/${init.pid}/root`
      const workspace = yield* open(`${root}/workspace`, openDirectory)
      const temporary = yield* open(`${root}/tmp`, openDirectory)
      const result: Standing = {
        child,
        init,
        workspace,
        fileSystems: [workspace, temporary],
        starved: cgroup?.starved ?? Effect.succeed(false),
        go: Effect.sync(() => {
          control.end("go\n")
        })
      }
      return result
    })

  const run = Effect.fn("Bubblewrap.run")(
    function*(spec: Spec) {
      yield* checkSpec(spec)
      yield* supports(spec.policy)
      const limits = limitsOf(spec.policy)
      const { child, fileSystems, go, init, starved, workspace } = yield* raise(spec)
      const output = yield* collect(child, limits.maxOutputBytes, spec.onOutput)
      const startedAt = yield* Clock.currentTimeMillis
      yield* go
      const end = yield* Effect.raceAll([
        // A signal reaches what started the sandbox only from outside.
        Effect.map(
          child.exit,
          ({ code, signalled }) =>
            signalled ? { reason: "killed" as const, code: null } : { reason: "exited" as const, code }
        ),
        Effect.as(Effect.sleep(limits.timeout), { reason: "timeout" as const, code: null }),
        Effect.as(output.overflow, { reason: "output" as const, code: null }),
        Effect.map(
          watchUsage({ init: init.pid, memoryLimit: limits.memoryLimit, fileSystems }),
          (reason) => ({ reason, code: null })
        )
      ])
      const durationMs = (yield* Clock.currentTimeMillis) - startedAt
      yield* kill(init)
      yield* child.exit
      if (!(yield* awaitDeath(init))) {
        return yield* failed("Setup", `process ${init.pid} survived its being killed`)
      }
      yield* output.drained
      const truncated = output.truncated()
      const reason = truncated ? "output" : end.reason === "exited" && (yield* starved) ? "memory" : end.reason
      const skipped = reason === "exited"
        ? yield* replaceWorkspace({ runtime, workspace: spec.workspace, from: workspace, maxBytes: limits.diskLimit })
        : []
      const outcome: Outcome = {
        reason,
        exitCode: reason === "exited" ? end.code : null,
        durationMs,
        outputBytes: output.bytes(),
        outputTruncated: truncated,
        skipped
      }
      return outcome
    },
    Effect.scoped,
    Effect.provideService(FileSystem.FileSystem, fs),
    Effect.provideService(Path.Path, path)
  )

  const check = Effect.gen(function*() {
    const policy = yield* Effect.orDie(parse({ timeout: "10 seconds", maxOutputBytes: 4_096 }))
    const workspace = yield* fs.makeTempDirectoryScoped({ prefix: "smithers-check-" })
    const { exitCode } = yield* run({ command: ["true"], workspace, env: {}, policy, onOutput: () => Effect.void })
    if (exitCode !== 0) return yield* failed("Setup", `true ended with ${exitCode}`)
  }).pipe(
    Effect.scoped,
    Effect.mapError((error) =>
      error._tag === "RuntimeUnavailable"
        ? error
        : new RuntimeUnavailable({ runtime, reason: "NotWorking", detail: error.message })
    )
  )

  const bubblewrap: Runtime = { name: runtime, isolated: true, runsOwnCode: true, check, supports, run }
  return bubblewrap
})

/** What comes before a program that another user is to run, without any privilege. */
const asUser = (host: Host, userId: number): ReadonlyArray<string> =>
  userId === host.userId
    ? []
    : [
      ...[host.tool("setpriv"), `--reuid=${userId}`, `--regid=${userId}`, "--clear-groups"],
      ...["--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--"]
    ]

/** What a child has said on standard error, its first 4 KiB. */
const textOf = (child: Child) =>
  NodeStream.toString(() => child.stderr, { onFailure: String, maxBytes: 4_096 }).pipe(
    Effect.map((text) => text.trim()),
    Effect.orElseSucceed(() => "no explanation")
  )

/** Fails unless the kernel says of a process of the sandbox that it is confined. */
const lookAt = (init: Identity, userId: number): Effect.Effect<void, ControlNotEnforced> =>
  Effect.gen(function*() {
    for (const pid of yield* descendants(init.pid)) {
      const [wrong] = yield* witness(pid, userId)
      if (wrong !== undefined) {
        return yield* new ControlNotEnforced({ runtime, control: wrong[0], reason: "Unproved", detail: `${wrong[1]}.` })
      }
    }
  })

/**
 * The runtime of bubblewrap: namespaces of its own for everything, a system that is readable only, a filter for system
 * calls, no capabilities, a user of its own. Works on Linux 5.14 and later with bwrap 0.8 and util-linux.
 */
