import type { Reach } from "../model/index.ts"

/** Conditions on a table whose `org_id` and `project_id` say whose its rows are, each with the value of its `?`. */
export const reachedConditions = (reach: Reach | null | undefined): ReadonlyArray<readonly [string, string]> => {
  if (reach === null || reach === undefined) return []
  const { except, orgId, projectIds } = reach
  const listed = (not: string, ids: ReadonlyArray<string>): readonly [string, string] => [
    `${not} IN (SELECT value FROM json_each(?))`,
    JSON.stringify(ids)
  ]
  return [
    ["org_id = ?", orgId],
    ...(projectIds === null ? [] : [listed("project_id", projectIds)]),
    ...(except.length === 0 ? [] : [listed("COALESCE(project_id, '') NOT", except)])
  ]
}
