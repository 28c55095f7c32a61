import { NodeContext } from "@effect/platform-node"
import { Duration, Effect, Layer, Option, Redacted } from "effect"
import { Access, AccessConfig, Methods } from "../../src/access/index.ts"
import { Audit } from "../../src/audit/index.ts"
import { systemActor } from "../../src/model/index.ts"
import { Persistence, PersistenceConfig } from "../../src/persistence/index.ts"
import { SecretGuard } from "../../src/secrets/index.ts"

const config = (adminToken?: string) =>
  Layer.succeed(AccessConfig.AccessConfig, {
    tokenMaxTtl: Duration.days(30),
    adminToken: Option.map(Option.fromNullable(adminToken), (text) => Redacted.make(text))
  })

const methods = Layer.succeed(
  Methods,
  new Map([["launchRun", "run:write"], ["getRun", "run:read"], ["runs.cancel", "run:write"]] as const)
)

const service = (adminToken?: string) =>
  Access.layer.pipe(
    Layer.provide([config(adminToken), methods]),
    Layer.provideMerge(Audit.layer),
    Layer.provide(SecretGuard.layer)
  )

/** Access on a fresh database. */
export const Fresh = service().pipe(Layer.provideMerge(Persistence.layerTemp), Layer.provideMerge(NodeContext.layer))

/** Access on the database of `home`, for tests that start the service again. */
export const on = (home: string, adminToken?: string) =>
  service(adminToken).pipe(
    Layer.provideMerge(Persistence.layer),
    Layer.provide(
      Layer.succeed(PersistenceConfig.PersistenceConfig, { home, synchronous: "normal", allowNetworkFileSystem: true })
    ),
    Layer.provideMerge(NodeContext.layer)
  )

/** Issues a token as the service itself. */
export const issue = (
  request: Partial<Omit<Parameters<Access.Access["Type"]["issue"]>[0], "actor">> = {}
) =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const { grant, secret } = yield* access.issue({
      role: "operator",
      scopes: ["run:write"],
      userId: "user:alice",
      actor: systemActor,
      ...request
    })
    return { grant, tokenId: grant.tokenId, secret: Redacted.value(secret) }
  })

export const authenticate = (presented: string) =>
  Effect.flatMap(Access.Access, (access) => access.authenticate(presented))

/** The actions in the audit, oldest first, without the issue of the admin token. */
export const audited = Effect.gen(function*() {
  const audit = yield* Audit.Audit
  return (yield* audit.list({ limit: 1_000 })).toReversed().slice(1)
})
