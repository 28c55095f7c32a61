import { Array, Clock, Duration, Effect, Option } from "effect"
import { Audit, AuditConfig, AuditTrail } from "../../../audit/index.ts"
import { Engine, EngineConfig } from "../../../engine/index.ts"
import { RunStore } from "../../../journal/index.ts"
import { Bounds, RunStatus, terminalStatuses } from "../../../model/index.ts"
import { SandboxConfig } from "../../../sandbox/index.ts"
import type { Finding } from "../../contract.ts"
import { dayMs, days, finding, makeLast } from "./Findings.ts"

const sandboxProofMs = 7 * dayMs
/** Runtimes that had a sandbox meanwhile are in use. */
const inUseMs = 30 * dayMs
/** An incident is noticed late; and a run that waits for months is an incident at its end. */
const shortestRetentionMs = 90 * dayMs

const unended = RunStatus.literals.filter((status) => !terminalStatuses.has(status))

/** Whether what happens can be answered for: audit, sandboxes, approvals, held runs, retention. */
export const make = Effect.gen(function*() {
  const audit = yield* Audit.Audit
  const trail = yield* AuditTrail.AuditTrail
  const auditConfig = yield* AuditConfig.AuditConfig
  const engineConfig = yield* Effect.serviceOption(EngineConfig.EngineConfig)
  const engine = yield* Engine.Engine
  const runs = yield* RunStore.RunStore
  const sandbox = yield* SandboxConfig.SandboxConfig
  const last = makeLast(audit)

  const verified = Effect.gen(function*() {
    const { problem, restores, rows, signedAtMs, signedThroughId } = yield* trail.verify
    const why = "An incident is reviewed by what the audit says."
    const fix = problem?.kind === "OlderDatabase"
      ? "Find out why the database is older; if a power cut explains it: `smithers audit acknowledge-rollback`."
      : "Keep the home as it is and compare it with backups: `smithers audit verify` names the place."
    return problem === null
      ? finding("audit", why, "ok", `${rows} rows in order, signed through ${signedThroughId}.`, fix, {
        rows,
        restores,
        signedThroughId,
        signedAtMs
      })
      : finding("audit", why, "failed", problem.detail, fix, { ...problem })
  })

  const proofOf = (runtime: string) =>
    Effect.gen(function*() {
      const check = `sandbox.${runtime}`
      const why = "What a runtime is asked to enforce, it has to be seen enforcing."
      const fix = `Run \`smithers sandbox verify --runtime ${runtime}\`.`
      if (runtime === "process") {
        const instead = "Use bubblewrap or a container."
        return finding(check, why, "failed", "The runtime `process` isolates nothing.", instead)
      }
      const proof = yield* last("sandbox.verify", { target: runtime })
      if (proof === undefined) return finding(check, why, "failed", `${runtime} was never verified.`, fix)
      const evidence = { atMs: proof.atMs, ...proof.detail }
      if (proof.outcome !== "ok") {
        const what = `${runtime} was seen not enforcing what it is asked to, ${days(proof.ageMs)} ago.`
        return finding(check, why, "failed", what, fix, evidence)
      }
      const what = `${runtime} was verified ${days(proof.ageMs)} ago.`
      return finding(check, why, proof.ageMs <= sandboxProofMs ? "ok" : "warning", what, fix, evidence)
    })

  const sandboxes = Effect.gen(function*() {
    const sinceMs = Math.max(0, (yield* Clock.currentTimeMillis) - inUseMs)
    const started = yield* audit.list({ action: "sandbox.start", sinceMs, limit: Bounds.pageRows })
    const used = started.flatMap(({ detail: { runtime } }) => typeof runtime === "string" ? [runtime] : [])
    return yield* Effect.forEach(new Set([sandbox.runtime, ...used]), proofOf)
  })

  const approvals = Effect.gen(function*() {
    const asked = yield* engine.approvalPaths
    const alone = asked.filter(({ fallbackOwner, owner }) => owner === null || fallbackOwner === null)
    const known = (yield* engine.workflows).map(({ key }) => key)
    const why = "An approval that nobody owns waits for ever."
    const fix =
      "Name an owner and a fallback owner where the workflow asks: Approval.request({ owner, fallbackOwner })."
    const evidence = {
      paths: alone.slice(0, 100).map(({ fallbackOwner, nodeId, owner, workflow }) => ({
        workflow,
        nodeId,
        owner,
        fallbackOwner
      })),
      // Only a run shows what a workflow asks for.
      neverAsked: known.filter((key) => !asked.some(({ workflow }) => workflow === key))
    }
    const workflows = new Set(alone.map(({ workflow }) => workflow))
    return alone.length === 0
      ? finding(
        "approvals",
        why,
        "ok",
        `Each of ${asked.length} approval paths has an owner and a fallback.`,
        fix,
        evidence
      )
      : finding(
        "approvals",
        why,
        "failed",
        `${alone.length} approval paths of ${[...workflows].slice(0, 10).join(", ")} lack an owner or a fallback.`,
        fix,
        evidence
      )
  })

  const held = Effect.gen(function*() {
    const parked = yield* runs.list({ status: "paused", limit: Bounds.pageRows })
    const stuck = parked.filter(({ hold }) => hold !== null)
    const why = "A run that is held waits for an operator."
    const fix = "Look at them with `smithers show`, then resume, retry or cancel them."
    return stuck.length === 0
      ? finding("runs.held", why, "ok", "No run is quarantined, diverged or without its workflow.", fix)
      : finding("runs.held", why, "warning", `${stuck.length} runs are held.`, fix, {
        runs: stuck.slice(0, 20).map(({ hold, runId }) => ({ runId, kind: hold?.kind }))
      })
  })

  const retention = Effect.gen(function*() {
    const [oldest] = yield* runs.idsByStatus(unended)
    const run = oldest === undefined ? Option.none() : yield* runs.find(oldest)
    const nowMs = yield* Clock.currentTimeMillis
    const neededMs = Math.max(shortestRetentionMs, ...Option.toArray(run).map((each) => 2 * (nowMs - each.createdAtMs)))
    const why = "A workflow that fails late is investigated by what was kept."
    const of = (check: string, what: string, setting: string, kept: Option.Option<Duration.Duration>): Finding => {
      const fix = `Set ${setting} to at least ${days(neededMs)}, or unset it.`
      const evidence = {
        neededMs,
        oldestRun: oldest ?? null,
        keptMs: Option.getOrNull(Option.map(kept, Duration.toMillis))
      }
      if (Option.isNone(kept)) return finding(check, why, "ok", `${what} are kept for ever.`, fix, evidence)
      const keptMs = Duration.toMillis(kept.value)
      return finding(
        check,
        why,
        keptMs >= neededMs ? "ok" : "failed",
        `${what} are kept ${days(keptMs)}.`,
        fix,
        evidence
      )
    }
    return [
      of("retention.audit", "Audit rows", "SMITHERS_AUDIT_RETENTION", auditConfig.retention),
      Option.match(engineConfig, {
        onNone: () => finding("retention.runs", why, "unknown", "The setting is not known here.", ""),
        onSome: ({ runRetention }) =>
          of("retention.runs", "Runs and their events", "SMITHERS_RUN_RETENTION", runRetention)
      })
    ]
  })

  const one = <E>(check: Effect.Effect<Finding, E>) => Effect.map(check, Array.of)
  return [one(verified), sandboxes, one(approvals), one(held), retention]
})
