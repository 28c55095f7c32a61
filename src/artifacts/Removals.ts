import { Context, Effect, Layer, Schema } from "effect"
import { RunLeftovers } from "../journal/index.ts"
import { Persistence, type PersistenceError, Write } from "../persistence/index.ts"
import type { Owner } from "./ArtifactKey.ts"
import { migrations } from "./migrations.ts"

/** A run that is removed, and whose artifacts are to go. */
export interface Removal {
  readonly id: number
  readonly owner: Owner
}

/** Which artifacts are to go: written down in the commit that removes their run, forgotten when they are gone. */
export class Removals extends Context.Tag("smithers-orchestrator/artifacts/Removals")<Removals, {
  /** Up to 100 after this id, oldest first. */
  readonly after: (id: number) => Effect.Effect<ReadonlyArray<Removal>, PersistenceError>
  /** Those of a run of this id. */
  readonly of: (runId: string) => Effect.Effect<ReadonlyArray<Removal>, PersistenceError>
  readonly done: (removal: Removal) => Effect.Effect<void, PersistenceError>
  /** Opened when there is a new one. */
  readonly changed: Effect.Latch
}>() {}

const Rows = Schema.Array(
  Schema.Struct({ id: Schema.Int, runId: Schema.String, orgId: Schema.NullOr(Schema.String) })
)
const columns = `id, run_id AS "runId", org_id AS "orgId"`

const make = Effect.gen(function*() {
  const persistence = yield* Persistence.Persistence
  yield* persistence.migrate(migrations)
  const changed = yield* Effect.makeLatch(true)
  const decode = Schema.decodeUnknown(Rows)

  const read = (text: string, params: ReadonlyArray<string | number>) =>
    persistence.read(text, params).pipe(
      Effect.flatMap((rows) => Effect.orDie(decode(rows))),
      Effect.map((rows) =>
        rows.map(({ id, orgId, runId }): Removal => ({
          id,
          owner: { runId, tenant: orgId === null ? null : { orgId, projectId: null } }
        }))
      )
    )

  const removals = Removals.of({
    after: (id) => read(`SELECT ${columns} FROM _smithers_artifact_removals WHERE id > ? ORDER BY id LIMIT 100`, [id]),
    of: (runId) => read(`SELECT ${columns} FROM _smithers_artifact_removals WHERE run_id = ? ORDER BY id`, [runId]),
    done: ({ id }) =>
      Effect.asVoid(persistence.write(Write.run("DELETE FROM _smithers_artifact_removals WHERE id = ?", [id]))),
    changed
  })
  const remember = (runId: string) =>
    Write.run(
      `INSERT INTO _smithers_artifact_removals (run_id, org_id)
        SELECT run_id, org_id FROM _smithers_runs WHERE run_id = ?`,
      [runId]
    ).pipe(Write.tapCommitted(() => changed.unsafeOpen()))

  return Context.make(Removals, removals).pipe(Context.add(RunLeftovers, { remember }))
})

/** Fills the port of the rows of runs: each run that is removed is written down. */
export const layer = Layer.effectContext(make)
