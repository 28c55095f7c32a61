import type { RpcGroup } from "@effect/rpc"
import { Context, Option } from "effect"
import type { CatalogScope } from "../../model/index.ts"
import { Aliases, ForTenants, RequiredScope, type TenantUse } from "./Annotations.ts"
import { ApprovalRpcs } from "./ApprovalRpcs.ts"
import { ArtifactRpcs } from "./ArtifactRpcs.ts"
import { AuditRpcs } from "./AuditRpcs.ts"
import { CacheRpcs } from "./CacheRpcs.ts"
import { ControlPlaneRpcs } from "./ControlPlaneRpcs.ts"
import { DoctorRpcs } from "./DoctorRpcs.ts"
import { EventRpcs } from "./EventRpcs.ts"
import { HealthRpcs } from "./HealthRpcs.ts"
import { NodeRpcs } from "./NodeRpcs.ts"
import { OrgRecordRpcs } from "./OrgRecordRpcs.ts"
import { OutboxRpcs } from "./OutboxRpcs.ts"
import { RunRpcs } from "./RunRpcs.ts"
import { SandboxRpcs } from "./SandboxRpcs.ts"
import { TeamRpcs } from "./TeamRpcs.ts"
import { TokenRpcs } from "./TokenRpcs.ts"
import { WorkerRpcs } from "./WorkerRpcs.ts"
import { WorkflowRpcs } from "./WorkflowRpcs.ts"

/** Every method of the gateway. */
export const GatewayRpcs = RunRpcs.merge(
  NodeRpcs,
  ArtifactRpcs,
  ApprovalRpcs,
  WorkflowRpcs,
  EventRpcs,
  CacheRpcs,
  AuditRpcs,
  DoctorRpcs,
  SandboxRpcs,
  TokenRpcs,
  HealthRpcs,
  WorkerRpcs,
  ControlPlaneRpcs,
  TeamRpcs,
  OrgRecordRpcs,
  OutboxRpcs
)

export type GatewayRpc = RpcGroup.Rpcs<typeof GatewayRpcs>

export const scopeOf = (rpc: GatewayRpc): CatalogScope => Context.unsafeGet(rpc.annotations, RequiredScope)

/** What grants of an organization may do with it; undefined: nothing. */
export const tenantUseOf = (rpc: GatewayRpc): TenantUse | undefined =>
  Option.getOrUndefined(Context.getOption(rpc.annotations, ForTenants))

export const aliasesOf = (rpc: GatewayRpc): ReadonlyArray<string> =>
  Option.getOrElse(Context.getOption(rpc.annotations, Aliases), () => [])

/** The scope of each method, by its name and by each alias: what a grant may name. */
export const methodScopes: ReadonlyMap<string, CatalogScope> = new Map(
  [...GatewayRpcs.requests.values()].flatMap((rpc) =>
    [rpc._tag, ...aliasesOf(rpc)].map((name) => [name, scopeOf(rpc)] as const)
  )
)
