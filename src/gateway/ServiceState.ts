import { FileSystem, Path } from "@effect/platform"
import { Clock, Context, Effect, Layer, Option, Schema } from "effect"
import { Engine } from "../engine/index.ts"
import type { Identity } from "./contract.ts"
import { Deployed } from "./Deployed.ts"
import { GatewayConfig } from "./GatewayConfig.ts"
import { isLoopback } from "./internal/isLoopback.ts"

export const protocol = 1
export const features = ["streaming", "runs"]

/** Who this process is, and what it says of its health. */
export class ServiceState extends Context.Tag("smithers-orchestrator/gateway/ServiceState")<ServiceState, {
  readonly identity: Identity
  /** How many events have been broadcast since the process started. */
  readonly stateVersion: () => number
  /** One more. */
  readonly advance: () => number
  readonly health: Effect.Effect<{
    readonly protocol: 1
    readonly features: ReadonlyArray<string>
    readonly stateVersion: number
    readonly identity: Identity
    readonly workflowsLoaded: number
    readonly workflowsTotal: number
    readonly modulesFailed: ReadonlyArray<{ readonly module: string; readonly reason: string }>
  }>
}>() {}

const decodeManifest = Schema.decodeUnknown(Schema.parseJson(Schema.Struct({ version: Schema.String })))

/** The version of the package that this file belongs to, compiled or not; none when it is bundled elsewhere. */
const readVersion = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const manifest = yield* fs.readFileString(new URL("../../package.json", import.meta.url).pathname)
  return (yield* decodeManifest(manifest)).version
}).pipe(Effect.option)

const make = Effect.gen(function*() {
  const engine = yield* Engine.Engine
  const { host } = yield* GatewayConfig
  const { modulesFailed } = yield* Deployed
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  // Everybody may ask for the identity: a path of this machine is told to callers on this machine only.
  const workspaceRoot = isLoopback(host) ? yield* Effect.option(fs.realPath(".")) : Option.none()
  const identity: Identity = {
    workspaceRoot: Option.getOrNull(workspaceRoot),
    backend: "sqlite",
    version: Option.getOrNull(yield* readVersion),
    pid: process.pid,
    startedAtMs: yield* Clock.currentTimeMillis
  }
  const failed = modulesFailed.map(({ file, reason }) => ({ module: path.basename(file), reason }))
  let stateVersion = 0
  return ServiceState.of({
    identity,
    stateVersion: () => stateVersion,
    advance: () => ++stateVersion,
    health: Effect.map(engine.workflows, ({ length }) => ({
      protocol,
      features,
      stateVersion,
      identity,
      workflowsLoaded: length,
      workflowsTotal: length,
      modulesFailed: failed
    }))
  })
})

export const layer = Layer.effect(ServiceState, make)
