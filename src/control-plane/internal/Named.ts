import { Schema } from "effect"
import { Write } from "../../persistence/index.ts"
import { Conflict, SlugTaken } from "../ControlPlaneError.ts"
import { AtMs, Metadata, Name, Slug } from "../Fields.ts"

// What organizations, teams and projects have in common.

/** As it is stored. */
export const named = { slug: Slug, name: Name, metadata: Metadata, createdAtMs: AtMs, updatedAtMs: AtMs }

/** As it is made. */
export const newNamed = { slug: Slug, name: Name, metadata: Schema.optional(Metadata) }

/** As it is changed: what is not given stays as it is. */
export const changedNamed = {
  slug: Schema.optional(Slug),
  name: Schema.optional(Name),
  metadata: Schema.optional(Metadata)
}

/** The rows of a noun whose ids and slugs are unique within these columns. */
interface Noun {
  readonly kind: SlugTaken["kind"]
  readonly table: string
  readonly id: string
  readonly scope: string
}

export const organizations: Noun = { kind: "organization", table: "_smithers_cp_orgs", id: "org_id", scope: "" }
export const teams: Noun = { kind: "team", table: "_smithers_cp_teams", id: "team_id", scope: "org_id = ? AND" }
export const projects: Noun = {
  kind: "project",
  table: "_smithers_cp_projects",
  id: "project_id",
  scope: "org_id = ? AND"
}

const slugFree = (
  { id, kind, scope, table }: Noun,
  within: ReadonlyArray<string>,
  slug: string,
  /** Whose own slug it may be. */
  except: string
): Write.Write<unknown, SlugTaken> =>
  Write.guard(
    `SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM ${table} WHERE ${scope} slug = ? AND ${id} <> ?)`,
    [...within, slug, except],
    () => new SlugTaken({ kind, slug })
  )

/** Neither id nor slug is taken. `within` is empty for organizations, else the organization. */
export const free = (
  noun: Noun,
  within: ReadonlyArray<string>,
  id: string,
  slug: string
): Write.Write<unknown, SlugTaken | Conflict> =>
  Write.all([
    slugFree(noun, within, slug, id),
    Write.guard(
      `SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM ${noun.table} WHERE ${noun.scope} ${noun.id} = ?)`,
      [...within, id],
      () => new Conflict({ reason: "IdTaken", id })
    )
  ])

/** Changes what is given; answers the row in these columns. That it exists is checked before. */
export const update = (
  noun: Noun,
  within: ReadonlyArray<string>,
  id: string,
  { metadata, name, slug }: {
    readonly slug?: string | undefined
    readonly name?: string | undefined
    readonly metadata?: Metadata | undefined
  },
  columns: string,
  nowMs: number
): Write.Write<ReadonlyArray<Write.Row>, SlugTaken> =>
  Write.all([
    slug === undefined ? Write.none : slugFree(noun, within, slug, id),
    Write.rows(
      `UPDATE ${noun.table} SET slug = COALESCE(?, slug), name = COALESCE(?, name),
        metadata_json = COALESCE(?, metadata_json), updated_at_ms = ? WHERE ${noun.scope} ${noun.id} = ?
        RETURNING ${columns}`,
      [slug ?? null, name ?? null, metadata === undefined ? null : JSON.stringify(metadata), nowMs, ...within, id]
    )
  ]).pipe(Write.map(([, rows]) => rows))
