import { Clock, Effect } from "effect"
import { Authorized } from "./Caller.ts"
import { DoctorRpcs, ExamineService } from "./contract.ts"
import { makeChecklist } from "./internal/Checklist.ts"
import { failAs } from "./internal/wireErrors.ts"

/** Answers `DoctorRpcs`: every check of the list, one after the other. */
export const layer = DoctorRpcs.middleware(Authorized).toLayer(Effect.gen(function*() {
  const checklist = yield* makeChecklist
  const examining = failAs(ExamineService.errorSchema)
  return {
    "doctor.examine": () =>
      examining(Effect.gen(function*() {
        const findings = yield* checklist.findings
        return {
          ok: findings.every(({ status }) => status !== "failed"),
          atMs: yield* Clock.currentTimeMillis,
          findings
        }
      }))
  }
}))
