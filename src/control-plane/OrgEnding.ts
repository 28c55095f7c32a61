import { Clock, Context, Effect, Layer } from "effect"
import { Access } from "../access/index.ts"
import { Engine } from "../engine/index.ts"
import { type Actor, systemActor } from "../model/index.ts"
import { Persistence, type PersistenceError, Write } from "../persistence/index.ts"
import * as ControlPlane from "./ControlPlane.ts"

/** What was deleted by a script on the same file, or just before a crash, is found within this. */
const every = "5 seconds"
/** Organizations that are looked up in one go. */
const batch = 100

/**
 * Ends what deleted organizations have left outside of the control plane: their grants, and their runs with the approvals
 * that wait in them. Whoever deletes one calls it; what was deleted otherwise, or was not done with when the process
 * died, is found by itself.
 */
export class OrgEnding extends Context.Tag("smithers-orchestrator/control-plane/OrgEnding")<OrgEnding, {
  /**
   * Revokes what grants are left and asks all runs to end; which ones had to be is in the audit, by the actor. Nothing
   * new can begin, so what is done stays done. May be called again. Does nothing for an organization that is there.
   */
  readonly end: (orgId: string, actor: Actor) => Effect.Effect<void, PersistenceError>
}>() {}

const make = Effect.gen(function*() {
  // Its tables are there.
  yield* ControlPlane.ControlPlane
  const access = yield* Access.Access
  const engine = yield* Engine.Engine
  const { read, write } = yield* Persistence.Persistence

  const pending = (condition: string, params: ReadonlyArray<Write.SqlValue>) =>
    Effect.map(
      read(
        `SELECT org_id FROM _smithers_cp_deleted_orgs WHERE ended_at_ms IS NULL ${condition} ORDER BY deleted_at_ms LIMIT ?`,
        [...params, batch]
      ),
      (rows) => rows.map((row) => String(row["org_id"]))
    )

  const endAll = (orgIds: ReadonlyArray<string>, actor: Actor) =>
    Effect.forEach(orgIds, (orgId) =>
      Effect.gen(function*() {
        yield* access.revokeOrg(orgId, actor)
        // Those that execute take a moment: they are looked for again.
        if (yield* engine.cancelOrg(orgId, actor)) return
        const nowMs = yield* Clock.currentTimeMillis
        yield* write(Write.run("UPDATE _smithers_cp_deleted_orgs SET ended_at_ms = ? WHERE org_id = ?", [nowMs, orgId]))
      }), { discard: true })

  const look = Effect.catchAllCause(
    Effect.flatMap(pending("", []), (orgIds) => endAll(orgIds, systemActor)),
    (cause) => Effect.logError("What deleted organizations have left could not be ended", cause)
  )
  // Before anything is taken up again: provide it to whoever does that.
  yield* look
  yield* Effect.forkScoped(Effect.forever(Effect.delay(look, every)))

  return OrgEnding.of({
    end: Effect.fn("OrgEnding.end")((orgId, actor) =>
      Effect.flatMap(pending("AND org_id = ?", [orgId]), (orgIds) => endAll(orgIds, actor))
    )
  })
})

/** Looks at its start and every five seconds for deleted organizations that are not done with. */
export const layer = Layer.scoped(OrgEnding, make)
