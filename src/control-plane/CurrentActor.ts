import { Context } from "effect"
import { type Actor, systemActor } from "../model/index.ts"

/** Who changes things, for both audits; the service itself unless provided. */
export class CurrentActor
  extends Context.Reference<CurrentActor>()("smithers-orchestrator/control-plane/CurrentActor", {
    defaultValue: (): Actor => systemActor
  })
{}
