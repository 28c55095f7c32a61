import { Clock, Effect, Layer } from "effect"
import { createHash } from "node:crypto"
import { Audit } from "../audit/index.ts"
import { systemActor } from "../model/index.ts"
import { readSettings } from "./Settings.ts"
import { version } from "./Version.ts"

/** Every setting that was given, as `KEY=value`; of secrets that they are set. */
const givenSettings = Effect.map(
  readSettings,
  (settings) => settings.filter(({ source }) => source === "env").map(({ key, value }) => `${key}=${value}`)
)

/** SHA-256 over the settings, a line each. */
const hashOf = (settings: ReadonlyArray<string>): string =>
  createHash("sha256").update(settings.map((setting) => `${setting}\n`).join("")).digest("hex")

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
  const settings = yield* givenSettings
  yield* audit.record({
    ...operation,
    action: "service.start",
    detail: { version, node: process.version, config: hashOf(settings), settings }
  })
  yield* Effect.addFinalizer(() =>
    Effect.flatMap(Clock.currentTimeMillis, (nowMs) =>
      Effect.ignoreLogged(
        audit.record({ ...operation, action: "service.stop", detail: { uptimeMs: nowMs - startedAtMs } })
      ))
  )
}))
