import type { SqlClient, Statement } from "@effect/sql"
import type { AuditFilter } from "../../model/index.ts"

/** A filter as conditions of a query on the table of the audit. */
export const conditionsOf = (
  sql: SqlClient.SqlClient,
  { action, actor, orgId, runId, sinceMs, untilMs }: AuditFilter
): ReadonlyArray<Statement.Fragment> => [
  ...(action === undefined ? [] : [sql`action = ${action}`]),
  ...(actor === undefined ? [] : [sql`actor = ${actor}`]),
  ...(orgId === undefined ? [] : [sql`org_id = ${orgId}`]),
  ...(runId === undefined ? [] : [sql`run_id = ${runId}`]),
  ...(sinceMs === undefined ? [] : [sql`at_ms >= ${sinceMs}`]),
  ...(untilMs === undefined ? [] : [sql`at_ms < ${untilMs}`])
]
