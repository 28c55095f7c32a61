import { Effect, Schema } from "effect"
import { Write } from "../persistence/index.ts"
import { type ChangeError, type ReadError, RecordNotFound } from "./ControlPlaneError.ts"
import { AtMs, Id, orgWide, page, pairOf, ProjectOf, Ref, SecretName, UserId, Word } from "./Fields.ts"
import { orgExists, projectExists } from "./internal/Guards.ts"
import { checked } from "./internal/Input.ts"
import type { Plane } from "./internal/Plane.ts"
import { makeTable } from "./internal/Table.ts"

/** Where a secret of an organization, or of one of its projects, is kept. Never its value. */
export const OrgSecretRef = Schema.Struct({
  orgId: Id,
  projectId: Schema.NullOr(Id),
  name: SecretName,
  /** The secret manager: `vault`, `aws-secrets-manager`. */
  provider: Word,
  ref: Schema.String,
  createdBy: Schema.NullOr(Schema.String),
  createdAtMs: AtMs,
  /** When `ref` was last given anew; null while it is the first. */
  rotatedAtMs: Schema.NullOr(AtMs)
})
export type OrgSecretRef = typeof OrgSecretRef.Type

const Given = Schema.Struct({
  orgId: Id,
  projectId: ProjectOf,
  name: SecretName,
  provider: Word,
  ref: Ref,
  createdBy: Schema.optional(Schema.NullOr(UserId))
})
const One = Schema.Struct({ orgId: Id, projectId: ProjectOf, name: SecretName })
const Page = Schema.Struct({ orgId: Id, projectId: ProjectOf, ...page })

const checkGiven = checked(Given)
const checkOne = checked(One)
const checkPage = checked(Page)

export interface OrgSecretRefMethods {
  /** Adds a reference, or rotates the one of this name; refuses what looks like a credential itself. */
  readonly putSecretRef: (input: typeof Given.Encoded) => Effect.Effect<OrgSecretRef, ChangeError>
  /** Of the organization itself when no project is given. */
  readonly getSecretRef: (input: typeof One.Encoded) => Effect.Effect<OrgSecretRef, RecordNotFound | ReadError>
  /**
   * Of a project, of the organization itself (`projectId: null`), or all; by project and name, after
   * `<projectId or __org__>/<name>`.
   */
  readonly listSecretRefs: (input: typeof Page.Encoded) => Effect.Effect<ReadonlyArray<OrgSecretRef>, ReadError>
  readonly deleteSecretRef: (input: typeof One.Encoded) => Effect.Effect<void, ChangeError>
}

export const make = ({ change, persistence }: Plane): OrgSecretRefMethods => {
  const table = makeTable(persistence, "_smithers_cp_secret_refs", OrgSecretRef, {
    key: ["orgId", "projectId", "name"],
    byProjectKey: true
  })
  const where = "WHERE org_id = ? AND project_key = ? AND name = ?"
  const about = (action: string, orgId: string, projectId: string | null, name: string) => ({
    orgId,
    projectId,
    action,
    targetType: "secret_ref",
    targetId: name
  })
  const notFound = (orgId: string, id: string) => new RecordNotFound({ kind: "secret-ref", orgId, id })

  return {
    putSecretRef: Effect.fn("ControlPlane.putSecretRef")(function*(input) {
      const { createdBy = null, name, orgId, projectId = null, provider, ref } = yield* checkGiven(input)
      const rows = yield* change(
        { ...about("secret_ref.upsert", orgId, projectId, name), detail: { provider } },
        (nowMs) =>
          Write.all([
            orgExists(orgId),
            projectExists(orgId, projectId),
            Write.rows(
              `INSERT INTO ${table.name} (org_id, project_id, project_key, name, provider, ref, created_by, created_at_ms)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (org_id, project_key, name) DO UPDATE SET provider = excluded.provider, ref = excluded.ref,
                  rotated_at_ms = excluded.created_at_ms RETURNING ${table.columns}`,
              [orgId, projectId, projectId ?? orgWide, name, provider, ref, createdBy, nowMs]
            )
          ])
      )
      return yield* table.one(rows[2])
    }),
    getSecretRef: Effect.fn("ControlPlane.getSecretRef")(function*(input) {
      const { name, orgId, projectId } = yield* checkOne(input)
      const [found] = yield* table.select(where, [orgId, projectId ?? orgWide, name])
      return found ?? (yield* notFound(orgId, name))
    }),
    listSecretRefs: Effect.fn("ControlPlane.listSecretRefs")(function*(input) {
      const { after = "", limit = 50, orgId, projectId } = yield* checkPage(input)
      return yield* table.select(
        `WHERE org_id = ? AND project_key = COALESCE(?, project_key) AND (project_key, name) > (?, ?)
          ORDER BY project_key, name LIMIT ?`,
        [orgId, projectId === undefined ? null : projectId ?? orgWide, ...pairOf(after), limit]
      )
    }),
    deleteSecretRef: Effect.fn("ControlPlane.deleteSecretRef")(function*(input) {
      const { name, orgId, projectId = null } = yield* checkOne(input)
      yield* change(about("secret_ref.delete", orgId, projectId, name), () =>
        Write.guard(
          `DELETE FROM ${table.name} ${where}`,
          [orgId, projectId ?? orgWide, name],
          () => notFound(orgId, name)
        ))
    })
  }
}
