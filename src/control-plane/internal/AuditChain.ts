import { createHash } from "node:crypto"
import { Write } from "../../persistence/index.ts"
import { OrgNotFound, RecordNotFound } from "../ControlPlaneError.ts"
import type { OrgAuditEvent } from "../OrgAuditEvent.ts"

/** A row before it has its place in the chain. */
export type Unchained = Omit<OrgAuditEvent, "id" | "hash">

/** What binds a row to the one before it. */
export const hashOf = (
  before: string,
  { action, actorId, occurredAtMs, orgId, projectId, targetId, targetType }: Omit<Unchained, "metadata">,
  metadataText: string
): string =>
  createHash("sha256").update(
    `${before}\n${
      JSON.stringify([orgId, projectId, actorId, action, targetType, targetId, occurredAtMs, metadataText])
    }`
  ).digest("hex")

const headsText = `SELECT o.org_id AS "orgId", (SELECT a.hash FROM _smithers_cp_audit_events AS a
    WHERE a.org_id = o.org_id ORDER BY a.id DESC LIMIT 1) AS hash
  FROM _smithers_cp_orgs AS o WHERE o.org_id IN (SELECT value FROM json_each(?))`

const projectsText = `SELECT org_id AS "orgId", project_id AS "projectId" FROM _smithers_cp_projects
  WHERE (org_id, project_id) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))`

const lastIdText = "SELECT seq FROM sqlite_sequence WHERE name = '_smithers_cp_audit_events'"

const insertText =
  `INSERT INTO _smithers_cp_audit_events (id, org_id, project_id, actor_id, action, target_type, target_id,
    occurred_at_ms, metadata_json, hash)
  SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, value ->> 9 FROM json_each(?)`

type Chained = OrgAuditEvent | OrgNotFound | RecordNotFound

/**
 * The rows as a unit, each chained to the one before it; what belongs to an organization that is not there is left out.
 * `checkProjects` leaves out what names a project that is not there; a deletion names what has just gone.
 */
export const append = (
  events: ReadonlyArray<Unchained>,
  { checkProjects }: { readonly checkProjects: boolean }
): Write.Write<ReadonlyArray<Chained>> => {
  const metadataTexts = events.map(({ metadata }) => JSON.stringify(metadata))
  const named = checkProjects ? events.filter(({ projectId }) => projectId !== null) : []
  let known: { readonly heads: ReadonlyArray<Write.Row>; readonly chained: ReadonlyArray<Chained> } | undefined

  const chain = (
    heads: ReadonlyArray<Write.Row>,
    projects: ReadonlyArray<Write.Row>,
    lastId: number
  ): ReadonlyArray<Chained> => {
    const hashes = new Map(heads.map(({ hash, orgId }) => [String(orgId), String(hash ?? "")]))
    const there = new Set(projects.map(({ orgId, projectId }) => `${String(orgId)} ${String(projectId)}`))
    let id = lastId
    return events.map((event, index) => {
      const { orgId, projectId } = event
      const before = hashes.get(orgId)
      if (before === undefined) return new OrgNotFound({ orgId })
      if (checkProjects && projectId !== null && !there.has(`${orgId} ${projectId}`)) {
        return new RecordNotFound({ kind: "project", orgId, id: projectId })
      }
      const hash = hashOf(before, event, metadataTexts[index]!)
      hashes.set(orgId, hash)
      return { id: ++id, ...event, hash }
    })
  }

  return Write.all([
    Write.rows(headsText, [JSON.stringify([...new Set(events.map(({ orgId }) => orgId))])]),
    named.length === 0
      ? Write.map(() => [])(Write.none)
      : Write.rows(projectsText, [JSON.stringify(named.map(({ orgId, projectId }) => [orgId, projectId]))]),
    Write.rows(lastIdText, [])
  ]).pipe(
    // Asked for twice, for the rows and for the answer: the hashes are computed once.
    Write.map(([heads, projects, [last]]) => {
      if (known?.heads !== heads) known = { heads, chained: chain(heads, projects, Number(last?.["seq"] ?? 0)) }
      return known.chained
    }),
    Write.next(insertText, (chained) => [
      JSON.stringify(
        chained.flatMap((row, index) =>
          "hash" in row
            ? [[
              row.id,
              row.orgId,
              row.projectId,
              row.actorId,
              row.action,
              row.targetType,
              row.targetId,
              row.occurredAtMs,
              metadataTexts[index],
              row.hash
            ]]
            : []
        )
      )
    ])
  )
}
