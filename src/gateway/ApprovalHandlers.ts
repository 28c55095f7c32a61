import { Effect } from "effect"
import { holds } from "../access/index.ts"
import { Engine } from "../engine/index.ts"
import { Authorized, Caller } from "./Caller.ts"
import { ApprovalRpcs, failure, ListApprovals, SubmitApproval } from "./contract.ts"
import { ofOneOrg } from "./internal/launchTenant.ts"
import { toApprovalRow } from "./internal/rows.ts"
import { failAs } from "./internal/wireErrors.ts"

/** Answers `ApprovalRpcs` from the engine. */
export const layer = ApprovalRpcs.middleware(Authorized).toLayer(Effect.gen(function*() {
  const engine = yield* Engine.Engine
  const listing = failAs(ListApprovals.errorSchema)
  const deciding = failAs(SubmitApproval.errorSchema)

  return {
    listApprovals: ({ filter, ...given }) =>
      Effect.gen(function*() {
        const { reach } = yield* Caller
        const asked = { ...given, ...filter }
        yield* ofOneOrg(reach, asked)
        return (yield* engine.approvals({ ...asked, reach })).map(toApprovalRow)
      }).pipe(listing),

    submitApproval: ({ decision, iteration, nodeId, note, payloadSha256, runId, ...given }) =>
      Effect.gen(function*() {
        const approved = given.approved ?? decision?.approved
        if (approved === undefined) {
          return yield* failure("INVALID_REQUEST", "approved: is required")
        }
        const { actor } = yield* Caller
        yield* engine.decide({
          runId,
          nodeId,
          iteration,
          approved,
          note: note ?? decision?.note,
          value: decision !== undefined && "value" in decision ? decision.value : decision,
          payloadSha256,
          actor,
          holds: (scope) => holds(actor.scopes, scope)
        }).pipe(deciding)
        return { runId, nodeId, iteration, approved }
      })
  }
}))
