import { Context } from "effect"
import { Write } from "../persistence/index.ts"

/**
 * Whether the organizations that runs belong to are still there. A port: the control plane knows. Unless it is filled,
 * none ever goes.
 */
export class Tenancy extends Context.Reference<Tenancy>()("smithers-orchestrator/engine/Tenancy", {
  defaultValue: (): {
    /** Passes in a commit unless the organization was deleted before it: of a deleted one no run begins or goes on. */
    readonly stands: <E>(orgId: string, gone: () => E) => Write.Write<unknown, E>
  } => ({ stands: () => Write.none })
}) {}
