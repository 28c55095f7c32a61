import { Effect } from "effect"
import type { Engine } from "../../engine/index.ts"
import type { RunStore } from "../../journal/index.ts"
import { Bounds, type RunStatus } from "../../model/index.ts"
import type { PersistenceError } from "../../persistence/index.ts"
import type { ApprovalRow, RunRow } from "../contract.ts"
import type { ServiceState } from "../ServiceState.ts"
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

/** What is going on, for the hello of a connection: read once for all that ask while nothing has happened. */
export const makeSnapshot = (
  engine: Engine.Engine["Type"],
  runs: RunStore.RunStore["Type"],
  state: ServiceState["Type"]
): Effect.Effect<Effect.Effect<Snapshot, PersistenceError>> =>
  Effect.map(Effect.makeSemaphore(1), (one) => {
    let last: Snapshot | undefined
    const read = Effect.gen(function*() {
      const stateVersion = state.stateVersion()
      if (last?.stateVersion === stateVersion) return last
      const open = yield* Effect.forEach(openStatuses, (status) => runs.list({ status, limit: Bounds.pageRows }))
      const approvals = yield* engine.approvals({ limit: Bounds.pageRows })
      const snapshot: Snapshot = {
        runs: open.flat()
          .sort((a, b) => b.createdAtMs - a.createdAtMs)
          .slice(0, Bounds.pageRows)
          .map(toRunRow),
        approvals: approvals.map(toApprovalRow),
        stateVersion
      }
      last = snapshot
      return snapshot
    })
    return one.withPermits(1)(read)
  })
