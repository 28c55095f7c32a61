import { Clock, Effect } from "effect"
import { Tenants } from "../access/index.ts"
import { Engine } from "../engine/index.ts"
import { RunStore } from "../journal/index.ts"
import { RunId } from "../model/index.ts"
import { Authorized, Caller } from "./Caller.ts"
import {
  CancelRun,
  DeleteRun,
  GetRun,
  LaunchRun,
  ListRunDescendants,
  ListRuns,
  PauseRun,
  ResumeRun,
  RunRpcs
} from "./contract.ts"
import { isObject } from "./internal/Json.ts"
import { launchTenant, ofOneOrg } from "./internal/launchTenant.ts"
import { toRunDetail, toRunRow } from "./internal/rows.ts"
import { failAs } from "./internal/wireErrors.ts"

/** Answers `RunRpcs` from the engine and the rows of runs. */
export const layer = RunRpcs.middleware(Authorized).toLayer(Effect.gen(function*() {
  const engine = yield* Engine.Engine
  const runs = yield* RunStore.RunStore
  const tenants = yield* Tenants
  const launching = failAs(LaunchRun.errorSchema)
  const getting = failAs(GetRun.errorSchema)
  const listing = failAs(ListRuns.errorSchema)
  const descending = failAs(ListRunDescendants.errorSchema)
  const cancelling = failAs(CancelRun.errorSchema)
  const pausing = failAs(PauseRun.errorSchema)
  const resuming = failAs(ResumeRun.errorSchema)
  const deleting = failAs(DeleteRun.errorSchema)

  return {
    launchRun: ({ input, options, orgId, projectId, workflow, ...given }) =>
      Effect.gen(function*() {
        const { actor, reach } = yield* Caller
        const runId = options?.runId ?? given.runId
        const tenant = yield* launchTenant(tenants, reach, { orgId, projectId, runId })
        const launched = yield* engine.launch({
          workflow,
          input: isObject(input) ? input : {},
          runId,
          tenant,
          idempotencyKey: options?.idempotencyKey,
          startedBy: options?.startedBy,
          actor
        })
        return { ...launched, runId: RunId.make(launched.runId), system: false }
      }).pipe(launching),

    getRun: ({ runId }) => getting(Effect.zipWith(engine.view(runId), Clock.currentTimeMillis, toRunDetail)),

    listRuns: ({ filter = {} }) =>
      listing(Effect.gen(function*() {
        const { reach } = yield* Caller
        yield* ofOneOrg(reach, filter)
        return (yield* runs.list({ ...filter, reach })).map(toRunRow)
      })),

    listRunDescendants: ({ limit = 1_000, runId }) =>
      Effect.gen(function*() {
        const root = yield* runs.get(runId)
        const found = [{ runId: root.runId, parentRunId: root.parentRunId, depth: 0 }]
        // Breadth first: what is appended here is visited in its turn.
        for (const { depth, runId: parentRunId } of found) {
          if (found.length >= limit) break
          const children = yield* runs.list({ parentRunId, limit: limit - found.length })
          found.push(...children.map((child) => ({ runId: child.runId, parentRunId, depth: depth + 1 })))
        }
        return found
      }).pipe(descending),

    cancelRun: ({ runId }) =>
      Effect.gen(function*() {
        const { actor } = yield* Caller
        const { outcome } = yield* engine.cancel(runId, actor)
        const status = ({
          requested: "cancelling",
          cancelled: "cancelled",
          "already-cancelled": "already-terminal"
        } as const)[outcome]
        return { runId, status }
      }).pipe(cancelling),

    pauseRun: ({ runId }) =>
      Effect.gen(function*() {
        const { actor } = yield* Caller
        yield* engine.pause(runId, actor)
        return { runId, status: "pausing" as const }
      }).pipe(pausing),

    resumeRun: ({ runId }) =>
      Effect.gen(function*() {
        const { actor } = yield* Caller
        const resumed = yield* engine.resume(runId, actor)
        return { runId, status: resumed ? "resume_requested" as const : "already_terminal" as const }
      }).pipe(resuming),

    "runs.delete": ({ runId }) =>
      Effect.gen(function*() {
        const { actor } = yield* Caller
        yield* engine.remove(runId, actor)
        return { runId, deleted: true as const }
      }).pipe(deleting)
  }
}))
