import { Context } from "effect"

/** A place where a workflow asks for approval, and who answers for it. */
export interface DeclaredApproval {
  /** As `Approval.request` has it; the review of a sandbox is `<id>:review`. */
  readonly id: string
  readonly owner: string
  readonly fallbackOwner: string
}

/**
 * Where a workflow asks for approval, said before it has ever run: annotate a workflow with it, with `[]` if it asks
 * nobody. An approval of this id that names no owner, or no fallback owner, has the one that is declared. Nothing keeps a
 * body from asking elsewhere, too. Null: nothing is said.
 */
export class ApprovalPaths extends Context.Reference<ApprovalPaths>()("smithers-orchestrator/engine/ApprovalPaths", {
  defaultValue: (): ReadonlyArray<DeclaredApproval> | null => null
}) {}
