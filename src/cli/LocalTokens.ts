import { FileSystem, Path } from "@effect/platform"
import { Effect, Layer, Redacted } from "effect"
import { Access, AccessConfig, Methods } from "../access/index.ts"
import { Audit } from "../audit/index.ts"
import { ControlPlane, GrantTenants } from "../control-plane/index.ts"
import { methodScopes } from "../gateway/contract.ts"
import type { Actor } from "../model/index.ts"
import { Persistence, PersistenceConfig } from "../persistence/index.ts"
import { SecretGuard } from "../secrets/index.ts"
import { CommandFailed } from "./CommandFailed.ts"
import { TokenDesk } from "./TokenDesk.ts"

/** Whoever may open the home may do everything with it. */
const operator: Actor = { userId: "local-operator", tokenId: null, role: "admin", scopes: ["*"] }

const toIssued = ({ grant, secret }: Access.Issued) => ({ token: Redacted.value(secret), grant })

const desk = Layer.effect(
  TokenDesk,
  Effect.map(Access.Access, (access) =>
    TokenDesk.of({
      issue: (request) => Effect.map(access.issue({ ...request, actor: operator }), toIssued),
      list: (limit) => access.list({ limit }),
      rotate: (tokenId, overlapMs) => Effect.map(access.rotate(tokenId, operator, { overlapMs }), toIssued),
      revoke: (tokenId) => access.revoke(tokenId, operator)
    }))
)

/** A home is not made by asking for its tokens: the path may be mistyped. */
const existingHome = Layer.effectDiscard(Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const home = path.resolve((yield* PersistenceConfig.PersistenceConfig).home)
  if (yield* Effect.orElseSucceed(fs.exists(path.join(home, "smithers.db")), () => false)) return
  return yield* new CommandFailed({
    outcome: "notFound",
    code: "NO_HOME",
    field: "SMITHERS_HOME",
    message: `${home} is not the home of a service.`,
    fix: "Start the service once, or set SMITHERS_HOME."
  })
}))

/** Tokens of a home whose service does not run. */
export const layerLocal = desk.pipe(
  Layer.provide(Access.layer),
  Layer.provide(GrantTenants.layer),
  Layer.provide(ControlPlane.layer),
  Layer.provide([AccessConfig.layerConfig, Audit.layer, Layer.succeed(Methods, methodScopes), SecretGuard.layer]),
  Layer.provide(Persistence.layer),
  Layer.provide(existingHome),
  Layer.provide(PersistenceConfig.layerConfig)
)
