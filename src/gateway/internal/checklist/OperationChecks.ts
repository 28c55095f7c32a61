import { Array, Clock, Duration, Effect, Option } from "effect"
import { Audit, AuditConfig, AuditTrail } from "../../../audit/index.ts"
import { Engine, EngineConfig } from "../../../engine/index.ts"
import { RunStore } from "../../../journal/index.ts"
import { Bounds, RunStatus, terminalStatuses } from "../../../model/index.ts"
import { DeadLetters } from "../../../outbox/index.ts"
import { SandboxConfig } from "../../../sandbox/index.ts"
import type { Finding } from "../../contract.ts"
import { dayMs, days, finding, makeLast } from "./Findings.ts"

const sandboxProofMs = 7 * dayMs
/** Runtimes that had a sandbox meanwhile are in use. */
const inUseMs = 30 * dayMs
/** An incident is noticed late; and a run that waits for months is an incident at its end. */
const shortestRetentionMs = 90 * dayMs

const unended = RunStatus.literals.filter((status) => !terminalStatuses.has(status))

const isNamed = (owner: string | null): boolean => owner !== null && owner.trim() !== ""

/** Whether what happens can be answered for: audit, sandboxes, approvals, held runs, deliveries, retention. */
export const make = Effect.gen(function*() {
  const audit = yield* Audit.Audit
  const trail = yield* AuditTrail.AuditTrail
  const auditConfig = yield* AuditConfig.AuditConfig
  const engineConfig = yield* Effect.serviceOption(EngineConfig.EngineConfig)
  const engine = yield* Engine.Engine
  const runs = yield* RunStore.RunStore
  const letters = yield* DeadLetters.DeadLetters
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
    const workflows = yield* engine.workflows
    const declared = workflows.flatMap(({ approvals, key }) =>
      (approvals ?? []).map(({ fallbackOwner, id, owner }) => ({ workflow: key, nodeId: id, owner, fallbackOwner }))
    )
    const isDeclared = ({ nodeId, workflow }: { readonly nodeId: string; readonly workflow: string }) =>
      declared.some((path) => path.workflow === workflow && path.nodeId === nodeId)
    // What the code says holds from its next run on, whatever an earlier one has asked.
    const paths = [...declared, ...asked.filter((path) => !isDeclared(path))]
    const alone = paths.filter(({ fallbackOwner, owner }) => !isNamed(owner) || !isNamed(fallbackOwner))
    const unknown = workflows
      .filter(({ approvals, key }) => approvals === null && !asked.some(({ workflow }) => workflow === key))
      .map(({ key }) => key)
    const named = "Approval.request({ owner, fallbackOwner })"
    const why = "An approval that nobody owns waits for ever."
    const fix =
      `Name an owner and a fallback owner where the workflow asks: ${named}, or annotate it with Approval.Paths.`
    const evidence = {
      paths: alone.slice(0, 100).map(({ fallbackOwner, nodeId, owner, workflow }) => ({
        workflow,
        nodeId,
        owner,
        fallbackOwner
      }))
    }
    const lacking = [...new Set(alone.map(({ workflow }) => workflow))].slice(0, 10).join(", ")
    return [
      alone.length === 0
        ? finding("approvals", why, "ok", `Each of ${paths.length} approval paths has an owner and a fallback.`, fix)
        : finding(
          "approvals",
          why,
          "failed",
          `${alone.length} approval paths of ${lacking} lack an owner or a fallback.`,
          fix,
          evidence
        ),
      unknown.length === 0
        ? finding("approvals.declared", why, "ok", "Every workflow has said or shown where it asks for approval.", fix)
        : finding(
          "approvals.declared",
          why,
          "unknown",
          `Where ${unknown.slice(0, 10).join(", ")} ask for approval is not known until they have run.`,
          "Annotate them with Approval.Paths: each id with its owner and fallback owner, or [] if they ask nobody.",
          { workflows: unknown.slice(0, 100) }
        )
    ]
  })

  const undelivered = Effect.gen(function*() {
    const sinks = yield* letters.dead
    const nowMs = yield* Clock.currentTimeMillis
    const why = "What was not delivered is not billed, and not in the archive of whoever keeps the audit."
    const fix =
      "See why with `smithers outbox list --state dead`; mend the receiver, then `smithers outbox retry <id>`."
    if (sinks.length === 0) return finding("deliveries", why, "ok", "No delivery was given up.", fix)
    const each = sinks.map(({ batches, channel, sinceAtMs }) =>
      `${batches} to ${channel}, the oldest since ${days(nowMs - sinceAtMs)}`
    )
    return finding("deliveries", why, "warning", `Deliveries were given up: ${each.join("; ")}.`, fix, { sinks })
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
  return [one(verified), sandboxes, approvals, one(held), one(undelivered), retention]
})
