import { Rpc, RpcGroup } from "@effect/rpc"
import { Schema } from "effect"
import { RunId } from "../../model/index.ts"
import { ForTenants, RequiredScope } from "./Annotations.ts"
import { failures } from "./Failure.ts"

/** A relative path; what else it may not be the store says. */
const ArtifactName = Schema.String.pipe(Schema.minLength(1), Schema.maxLength(400))

export const ArtifactRow = Schema.Struct({ name: Schema.String, bytes: Schema.Int })
export type ArtifactRow = typeof ArtifactRow.Type

/** Names of what a run left, in the order of their bytes, those after `after`; 100 unless said. Ours. */
export const ListArtifacts = Rpc.make("listArtifacts", {
  payload: {
    runId: RunId,
    after: Schema.optional(ArtifactName),
    limit: Schema.optional(Schema.Int.pipe(Schema.between(1, 1_000)))
  },
  success: Schema.Array(ArtifactRow),
  error: failures("NOT_FOUND")
}).annotate(ForTenants, "run").annotate(RequiredScope, "run:read")

/** What was recorded of one of them; its content is at `GET /v1/api/runs/<runId>/artifacts/<name>`. Ours. */
export const GetArtifact = Rpc.make("getArtifact", {
  payload: { runId: RunId, name: ArtifactName },
  success: Schema.Struct({ ...ArtifactRow.fields, sha256: Schema.String }),
  error: failures("NOT_FOUND")
}).annotate(ForTenants, "run").annotate(RequiredScope, "run:read")

/** Artifacts: what runs leave for people and other programs. */
export const ArtifactRpcs = RpcGroup.make(ListArtifacts, GetArtifact)
