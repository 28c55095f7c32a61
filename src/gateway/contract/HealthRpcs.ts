import { Rpc, RpcGroup } from "@effect/rpc"
import { Schema } from "effect"
import { TimestampMs } from "../../model/index.ts"
import { ForTenants, RequiredScope } from "./Annotations.ts"
import { failures } from "./Failure.ts"

export const Identity = Schema.Struct({
  workspaceRoot: Schema.NullOr(Schema.String),
  backend: Schema.NullOr(Schema.String),
  version: Schema.NullOr(Schema.String),
  pid: Schema.Int,
  startedAtMs: TimestampMs
})
export type Identity = typeof Identity.Type

const healthFields = {
  protocol: Schema.Literal(1),
  features: Schema.Array(Schema.String),
  stateVersion: Schema.Int,
  identity: Identity,
  workflowsLoaded: Schema.Int,
  workflowsTotal: Schema.Int
}

/** What `GET /health` answers, to anybody. */
export const HealthAnswer = Schema.Struct({ ok: Schema.Literal(true), ...healthFields })
export type HealthAnswer = typeof HealthAnswer.Type

export const Health = Rpc.make("health", {
  payload: {},
  success: Schema.Struct({ ...healthFields, uptimeMs: Schema.Int }),
  error: failures()
}).annotate(ForTenants, "shared").annotate(RequiredScope, "run:read")

/** How the service is. */
export const HealthRpcs = RpcGroup.make(Health)
