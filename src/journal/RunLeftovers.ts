import { Context } from "effect"
import { Write } from "../persistence/index.ts"

/**
 * What runs leave outside the database, which no transaction can remove with them. Filled by whoever keeps it: the unit
 * commits with the removal of the run, whose row is still there before it, so that nothing is forgotten. Nothing unless
 * provided.
 */
export class RunLeftovers extends Context.Reference<RunLeftovers>()("smithers-orchestrator/journal/RunLeftovers", {
  defaultValue: (): { readonly remember: (runId: string) => Write.Write<unknown> } => ({ remember: () => Write.none })
}) {}
