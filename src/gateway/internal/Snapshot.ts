import { Effect } from "effect"
import type { Engine } from "../../engine/index.ts"
import type { RunStore } from "../../journal/index.ts"
import { Bounds, type Reach, type RunStatus } from "../../model/index.ts"
import type { PersistenceError } from "../../persistence/index.ts"
import type { ApprovalRow, RunRow } from "../contract.ts"
import type { ServiceState } from "../ServiceState.ts"
import { jsonText } from "./Json.ts"
import { toApprovalRow, toRunRow } from "./rows.ts"

export interface Snapshot {
  readonly runs: ReadonlyArray<RunRow>
  readonly approvals: ReadonlyArray<ApprovalRow>
  readonly stateVersion: number
}

const openStatuses: ReadonlyArray<RunStatus> = [
  "running",
  "waiting-approval",
  "waiting-event",
  "waiting-timer",
  "paused"
]

/** What is kept of those that reach differently. */
const keptSnapshots = 64

/** What is going on, for the hello of a connection: read once for all that reach the same while nothing has happened. */
export const makeSnapshot = (
  engine: Engine.Engine["Type"],
  runs: RunStore.RunStore["Type"],
  state: ServiceState["Type"]
): Effect.Effect<(ofRuns: Reach | null, ofApprovals: Reach | null) => Effect.Effect<Snapshot, PersistenceError>> =>
  Effect.map(Effect.makeSemaphore(1), (one) => {
    const kept = new Map<string, Snapshot>()
    const read = Effect.fnUntraced(function*(ofRuns: Reach | null, ofApprovals: Reach | null) {
      const key = jsonText([ofRuns, ofApprovals])
      const stateVersion = state.stateVersion()
      const last = kept.get(key)
      if (last?.stateVersion === stateVersion) return last
      const open = yield* Effect.forEach(
        openStatuses,
        (status) => runs.list({ status, reach: ofRuns, limit: Bounds.pageRows })
      )
      const approvals = yield* engine.approvals({ reach: ofApprovals, limit: Bounds.pageRows })
      const snapshot: Snapshot = {
        runs: open.flat()
          .sort((a, b) => b.createdAtMs - a.createdAtMs)
          .slice(0, Bounds.pageRows)
          .map(toRunRow),
        approvals: approvals.map(toApprovalRow),
        stateVersion
      }
      if (kept.size >= keptSnapshots) kept.clear()
      kept.set(key, snapshot)
      return snapshot
    })
    return (ofRuns, ofApprovals) => one.withPermits(1)(read(ofRuns, ofApprovals))
  })
