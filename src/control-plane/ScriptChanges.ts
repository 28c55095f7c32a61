import { Effect, Either, Layer, Schedule, Schema } from "effect"
import { Audit, AuditEntry } from "../audit/index.ts"
import { Persistence, Write } from "../persistence/index.ts"
import * as ControlPlane from "./ControlPlane.ts"

const every = "5 seconds"
/** Entries of one commit. */
const batch = 500

const Text = Schema.parseJson(AuditEntry)
const encode = Schema.encodeSync(Text)
const decode = Schema.decodeUnknownEither(Text)

/**
 * For whoever changes the control plane beside the service, whose audit he cannot append to: keeps the entry for it, in the
 * commit of the change. On a file that no service has there is nobody to keep it for.
 */
export const keep = (entry: AuditEntry): Write.Write<unknown> =>
  Write.run(
    `INSERT INTO _smithers_cp_script_changes (entry_json) SELECT ?
      WHERE EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_smithers_audit')`,
    [encode({ ...entry, detail: { ...entry.detail, by: "ControlPlaneStore" } })]
  )

const make = Effect.gen(function*() {
  // Its tables are there.
  yield* ControlPlane.ControlPlane
  const audit = yield* Audit.Audit
  const { read, write } = yield* Persistence.Persistence

  /** Answers how many there were. Each is appended in the commit that removes it: once, whatever happens. */
  const takeOver = Effect.gen(function*() {
    const rows = yield* read(
      "SELECT id, entry_json FROM _smithers_cp_script_changes ORDER BY id LIMIT ?",
      [batch]
    )
    const last = rows.at(-1)
    if (last === undefined) return 0
    const [unreadable, entries] = yield* Effect.partition(
      rows,
      (row) => Either.mapLeft(decode(row["entry_json"]), () => Number(row["id"]))
    )
    if (unreadable.length > 0) {
      yield* Effect.logError(`Changes of scripts that no version of ours wrote are not in the audit: ${unreadable}`)
    }
    yield* write(Write.discard([
      ...entries.map(audit.append),
      Write.run("DELETE FROM _smithers_cp_script_changes WHERE id <= ?", [Number(last["id"])])
    ]))
    return rows.length
  })

  const look = takeOver.pipe(
    Effect.repeat({ until: (taken) => taken < batch }),
    Effect.catchAllCause((cause) => Effect.logError("Changes of scripts could not be put into the audit", cause))
  )
  yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced(every)))
})

/** Puts what scripts have changed on the service's file into its audit: at its start, and every five seconds. */
export const layer = Layer.scopedDiscard(make)
