import { Rpc, RpcGroup } from "@effect/rpc"
import { Schema } from "effect"
import { TimestampMs } from "../../model/index.ts"
import { RequiredScope } from "./Annotations.ts"
import { failures } from "./Failure.ts"

/** One point of the release checklist, with what was seen. */
export const Finding = Schema.Struct({
  check: Schema.String,
  /** `unknown`: nothing could be seen that would tell. */
  status: Schema.Literal("ok", "warning", "failed", "unknown"),
  /** What was found. */
  what: Schema.String,
  /** Why it matters. */
  why: Schema.String,
  /** What to do about it; null when it is in order. */
  fix: Schema.NullOr(Schema.String),
  evidence: Schema.Record({ key: Schema.String, value: Schema.Unknown })
})
export type Finding = typeof Finding.Type

/** Goes through the release checklist; reads the whole audit, so that it takes as long as `audit.verify`. */
export const ExamineService = Rpc.make("doctor.examine", {
  payload: {},
  success: Schema.Struct({
    /** Nothing failed. */
    ok: Schema.Boolean,
    atMs: TimestampMs,
    findings: Schema.Array(Finding)
  }),
  error: failures()
})

/** The service examines itself; ours. */
export const DoctorRpcs = RpcGroup.make(ExamineService).annotateRpcs(RequiredScope, "run:admin")
