import { RpcMiddleware } from "@effect/rpc"
import { Context } from "effect"
import type { Permit } from "../access/index.ts"
import type { Actor, Reach } from "../model/index.ts"
import { GatewayFailure } from "./contract.ts"

/** Who calls, proven to hold the scope of the method. */
export class Caller extends Context.Tag("smithers-orchestrator/gateway/Caller")<Caller, {
  readonly permit: Permit
  readonly actor: Actor
  /** Null: the operator, who reaches everything. */
  readonly reach: Reach | null
}>() {}

/** What every face does before a handler runs: find out who calls, and check the scope that the method is annotated with. */
export class Authorized extends RpcMiddleware.Tag<Authorized>()("smithers-orchestrator/gateway/Authorized", {
  provides: Caller,
  failure: GatewayFailure
}) {}
