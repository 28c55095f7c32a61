import { Clock, Effect, Layer } from "effect"
import { createHash } from "node:crypto"
import { Audit } from "../audit/index.ts"
import { systemActor } from "../model/index.ts"
import { readSettings } from "./Settings.ts"
import { version } from "./Version.ts"

/** SHA-256 over every setting that was given, as `KEY=value` lines; of secrets whether they are set. */
const configHash = Effect.map(readSettings, (settings) =>
  createHash("sha256")
    .update(settings.filter(({ source }) => source === "env").map(({ key, value }) => `${key}=${value}\n`).join(""))
    .digest("hex"))

/** Puts into the audit that the service has started, with which version and settings, and that it stops. */
export const layer = Layer.scopedDiscard(Effect.gen(function*() {
  const audit = yield* Audit.Audit
  const startedAtMs = yield* Clock.currentTimeMillis
  const operation = {
    actor: systemActor,
    target: String(process.pid),
    runId: null,
    outcome: "ok" as const,
    reason: null
  }
  const config = yield* configHash
  yield* audit.record({
    ...operation,
    action: "service.start",
    detail: { version, node: process.version, config }
  })
  yield* Effect.addFinalizer(() =>
    Effect.flatMap(Clock.currentTimeMillis, (nowMs) =>
      Effect.ignoreLogged(
        audit.record({ ...operation, action: "service.stop", detail: { uptimeMs: nowMs - startedAtMs } })
      ))
  )
}))
