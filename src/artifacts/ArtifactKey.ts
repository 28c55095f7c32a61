import { Effect, Schema } from "effect"
import { RunId, type Tenant } from "../model/index.ts"
import { ArtifactRefused } from "./ArtifactError.ts"

/** Whose artifacts: those of one run, which is an organization's or, with null, the operator's. */
export interface Owner {
  readonly tenant: Tenant | null
  readonly runId: string
}

export interface ArtifactKey extends Owner {
  /** A relative path of at most 400 bytes in UTF-8, in up to 16 parts of at most 200 bytes each; none begins with a dot. */
  readonly name: string
}

const nameBytes = 400
const partBytes = 200
const maxParts = 16
const nameBound =
  `must be a path of at most ${nameBytes} bytes, in 1–${maxParts} parts of 1–${partBytes} bytes separated by /, none beginning with a dot, without backslash and control characters`

const isPart = (part: string): boolean => part !== "" && !part.startsWith(".") && Buffer.byteLength(part) <= partBytes

/** Whether an artifact may be called so; then it names one file below its run, in every store. */
export const isName = (name: string): boolean =>
  name.length <= nameBytes && !/[\p{Cc}\p{Cs}\\]/u.test(name) && Buffer.byteLength(name) <= nameBytes &&
  name.split("/").length <= maxParts && name.split("/").every(isPart)

const isRunId = Schema.is(RunId)
const isOrgId = (orgId: string): boolean => /^[A-Za-z0-9:_-]{1,128}$/.test(orgId)

/** The name of a directory has at most 255 bytes. */
const runIdChars = 255

const checkOwner = ({ runId, tenant }: Owner): Effect.Effect<void, ArtifactRefused> =>
  !isRunId(runId) || runId.length > runIdChars
    ? new ArtifactRefused({ field: "runId", bound: `must be the id of a run, of at most ${runIdChars} characters` })
    : tenant !== null && !isOrgId(tenant.orgId)
    ? new ArtifactRefused({ field: "orgId", bound: "must be 1–128 characters of A-Z a-z 0-9 : _ -" })
    : Effect.void

export const checkKey = (key: ArtifactKey): Effect.Effect<void, ArtifactRefused> =>
  Effect.zipRight(
    checkOwner(key),
    isName(key.name) ? Effect.void : new ArtifactRefused({ field: "name", bound: nameBound })
  )

/** What `list` was asked for, with what was left out. */
export const checkPage = (
  owner: Owner,
  { after = "", limit = 100 }: { readonly after?: string | undefined; readonly limit?: number | undefined }
): Effect.Effect<{ readonly after: string; readonly limit: number }, ArtifactRefused> =>
  Effect.zipRight(
    checkOwner(owner),
    after !== "" && !isName(after)
      ? new ArtifactRefused({ field: "after", bound: `must be the name of an artifact: ${nameBound}` })
      : !Number.isInteger(limit) || limit < 1 || limit > 1_000
      ? new ArtifactRefused({ field: "limit", bound: "must be a whole number from 1 to 1,000" })
      : Effect.succeed({ after, limit })
  )

export const checkContent = (content: Uint8Array, maxBytes: number): Effect.Effect<void, ArtifactRefused> =>
  content.length <= maxBytes
    ? Effect.void
    : new ArtifactRefused({
      field: "content",
      bound: `has ${content.length} bytes, at most ${maxBytes} (SMITHERS_ARTIFACTS_MAX_BYTES)`
    })
