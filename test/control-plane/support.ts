import { NodeContext } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { Audit } from "../../src/audit/index.ts"
import { ControlPlane } from "../../src/control-plane/index.ts"
import { Persistence, type Write } from "../../src/persistence/index.ts"

/** The control plane on a database of its own, with nothing else than persistence and the service's audit. */
export const Live = ControlPlane.layer.pipe(
  Layer.provideMerge(Audit.layer),
  Layer.provideMerge(Persistence.layerTemp),
  Layer.provide(NodeContext.layer)
)

export const plane = ControlPlane.ControlPlane

/** An organization `acme` with the projects `app` and `web`. */
export const acme = Effect.gen(function*() {
  const cp = yield* plane
  yield* cp.createOrg({ orgId: "acme", slug: "acme", name: "Acme" })
  for (const projectId of ["app", "web"]) {
    yield* cp.createProject({ orgId: "acme", projectId, slug: projectId, name: projectId })
  }
  return cp
})

export const rows = (text: string, ...params: ReadonlyArray<Write.SqlValue>) =>
  Effect.flatMap(Persistence.Persistence, ({ read }) => read(text, params))

const tablesText = `SELECT name FROM sqlite_schema
  WHERE type = 'table' AND name LIKE '\\_smithers\\_cp\\_%' ESCAPE '\\' AND name <> '_smithers_cp_migrations' ORDER BY name`

/** Every row of every table of the control plane, by table. */
export const everything = Effect.gen(function*() {
  const tables = (yield* rows(tablesText)).map(({ name }) => String(name))
  return yield* Effect.all(
    Object.fromEntries(tables.map((table) => [table, rows(`SELECT * FROM ${table}`)] as const))
  )
})
