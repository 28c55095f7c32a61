import { FileSystem, Path } from "@effect/platform"
import { Array, Clock, Effect, Option } from "effect"
import { Access, holds, type TokenGrant } from "../../access/index.ts"
import { Audit, AuditTrail } from "../../audit/index.ts"
import { Engine } from "../../engine/index.ts"
import { RunStore } from "../../journal/index.ts"
import { Bounds } from "../../model/index.ts"
import { Persistence, PersistenceConfig } from "../../persistence/index.ts"
import { SandboxConfig } from "../../sandbox/index.ts"
import type { Finding } from "../contract.ts"
import { GatewayConfig } from "../GatewayConfig.ts"
import { isLoopback } from "./isLoopback.ts"

const dayMs = 24 * 60 * 60 * 1_000

/** The ages that the seeds' checklist leaves to the operator. */
const limits = {
  backupMs: 2 * dayMs,
  drillMs: 30 * dayMs,
  sandboxProofMs: 7 * dayMs,
  unusedGrantMs: 30 * dayMs,
  expiringMs: 3 * dayMs,
  walBytes: 512 * 1_048_576
} as const

const days = (ms: number): string => `${Math.floor(ms / dayMs)} days`

type Status = Finding["status"]

const finding = (
  check: string,
  why: string,
  status: Status,
  what: string,
  fix: string,
  evidence: Finding["evidence"] = {}
): Finding => ({ check, status, what, why, fix: status === "ok" ? null : fix, evidence })

/** Grants that have not ended by now, with what is wrong about them. */
const grantFindings = (grants: ReadonlyArray<TokenGrant>, nowMs: number): ReadonlyArray<Finding> => {
  const live = grants.filter(({ expiresAtMs, revokedAtMs }) =>
    (revokedAtMs === null || revokedAtMs > nowMs) && (expiresAtMs === null || expiresAtMs > nowMs)
  )
  const of = (
    check: string,
    why: string,
    status: Status,
    wrong: string,
    fix: string,
    matches: (g: TokenGrant) => boolean
  ) => {
    const found = live.filter(matches)
    return found.length === 0
      ? finding(check, why, "ok", `None of ${live.length} grants.`, fix)
      : finding(check, why, status, `${found.length} of ${live.length} grants ${wrong}.`, fix, {
        tokenIds: found.slice(0, 20).map(({ tokenId }) => tokenId)
      })
  }
  const everything = ({ scopes }: TokenGrant) => scopes.some((scope) => ["*", "admin"].includes(scope.trim()))
  const issued = ({ origin }: TokenGrant) => origin === "issued"
  return [
    of(
      "grants.unscoped",
      "A token that may do everything is a key to the house.",
      "failed",
      "may do everything",
      "Replace them by tokens with the scopes that are needed: `smithers token issue --scopes`.",
      (grant) => issued(grant) && everything(grant)
    ),
    of(
      "grants.unbounded",
      "A token without an end is good for whoever finds it, for ever.",
      "warning",
      "have no end",
      "Rotate the admin token regularly (`smithers token rotate`), and issue others with a lifetime.",
      ({ expiresAtMs }) => expiresAtMs === null
    ),
    of(
      "grants.unused",
      "What nobody uses, nobody misses when it is stolen.",
      "warning",
      `were not used for ${days(limits.unusedGrantMs)}`,
      "Revoke them: `smithers token revoke`.",
      (grant) => issued(grant) && nowMs - (grant.lastUsedAtMs ?? grant.issuedAtMs) > limits.unusedGrantMs
    ),
    of(
      "grants.expiring",
      "What expires unnoticed stops somebody's work.",
      "warning",
      `end within ${days(limits.expiringMs)}`,
      "Rotate those that are still needed: `smithers token rotate --overlap`.",
      ({ expiresAtMs, issuedAtMs }) =>
        expiresAtMs !== null && expiresAtMs - issuedAtMs > limits.expiringMs && expiresAtMs - nowMs < limits.expiringMs
    ),
    of(
      "grants.launch-and-approve",
      "Whoever launches a workflow that can write or deploy must not be the one who approves it.",
      "warning",
      "hold launch and approval together",
      "Issue two tokens: one with run:write, one with approval:submit.",
      (grant) => issued(grant) && holds(grant.scopes, "run:write") && holds(grant.scopes, "approval:submit")
    )
  ]
}

/**
 * The release checklist and the operating rules of the seeds, each answered with evidence, one after the other. A check
 * reads and changes nothing.
 */
export const makeChecklist = Effect.gen(function*() {
  const persistence = yield* Persistence.Persistence
  const settings = yield* Effect.serviceOption(PersistenceConfig.PersistenceConfig)
  const gateway = yield* GatewayConfig
  const sandbox = yield* SandboxConfig.SandboxConfig
  const access = yield* Access.Access
  const audit = yield* Audit.Audit
  const trail = yield* AuditTrail.AuditTrail
  const engine = yield* Engine.Engine
  const runs = yield* RunStore.RunStore
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path

  /** The last row of an action that went well, and how long ago. */
  const lastOf = (action: string, target?: string) =>
    Effect.gen(function*() {
      const rows = yield* audit.list({ action, limit: 50 })
      const row = rows.find((each) => each.outcome === "ok" && (target === undefined || each.target === target))
      return row === undefined
        ? undefined
        : { atMs: row.atMs, ageMs: (yield* Clock.currentTimeMillis) - row.atMs, target: row.target }
    })

  const durability = Effect.sync(() => {
    const why = "A commit that was acknowledged must survive a power cut."
    const fix = "Unset SMITHERS_SYNCHRONOUS, or set it to full."
    const synchronous = Option.getOrUndefined(settings)?.synchronous
    if (synchronous === undefined) return finding("durability", why, "unknown", "The setting is not known here.", fix)
    return synchronous === "full"
      ? finding("durability", why, "ok", "synchronous=FULL, read back after the first statement.", fix, { synchronous })
      : finding("durability", why, "failed", "A power cut may drop acknowledged commits.", fix, { synchronous })
  })

  const journalMode = Effect.gen(function*() {
    const [row] = yield* persistence.read("PRAGMA journal_mode", [])
    const wal = yield* Effect.orElseSucceed(
      Effect.map(fs.stat(`${persistence.file}-wal`), ({ size }) => Number(size)),
      () => 0
    )
    const evidence = { journalMode: row?.["journal_mode"], walBytes: wal, file: persistence.file }
    const why = "Readers must not hold writers up, and the log must not fill the disk."
    const fix = "Look for a reader that never ends; see `smithers_persistence_wal_bytes`."
    return row?.["journal_mode"] === "wal" && wal <= limits.walBytes
      ? finding("wal", why, "ok", `WAL, ${wal} bytes.`, fix, evidence)
      : finding("wal", why, "failed", `journal_mode ${String(row?.["journal_mode"])}, ${wal} bytes.`, fix, evidence)
  })

  const backups = Effect.gen(function*() {
    const folder = path.join(persistence.home, "backups")
    const names = yield* Effect.orElseSucceed(fs.readDirectory(folder), () => [])
    const newest = names.filter((name) => name.endsWith(".manifest.json")).sort().at(-1)
    const made = yield* lastOf("backup.create")
    const why = "What is not backed up is lost with its disk."
    const fix = "Run `smithers backup create` from a timer, and keep copies elsewhere."
    const evidence = { folder, newest: newest ?? null, recordedAtMs: made?.atMs ?? null }
    if (made === undefined) return finding("backup.age", why, "failed", "No backup is recorded.", fix, evidence)
    return made.ageMs <= limits.backupMs
      ? finding("backup.age", why, "ok", `The last backup is ${days(made.ageMs)} old.`, fix, evidence)
      : finding("backup.age", why, "failed", `The last backup is ${days(made.ageMs)} old.`, fix, evidence)
  })

  const drilled = Effect.gen(function*() {
    const last = yield* lastOf("backup.drill")
    const why = "A backup that was never restored is a hope."
    const fix = "Run `smithers backup drill`."
    if (last === undefined) return finding("backup.drill", why, "failed", "No restore drill is recorded.", fix)
    const evidence = { atMs: last.atMs, backup: last.target }
    const what = `The last restore drill that went well was ${days(last.ageMs)} ago.`
    return finding("backup.drill", why, last.ageMs <= limits.drillMs ? "ok" : "failed", what, fix, evidence)
  })

  const transport = Effect.sync(() => {
    const { host } = gateway
    const tls = Option.isSome(gateway.tls)
    const why = "Tokens and payloads must not travel in the clear."
    const fix = "Set SMITHERS_TLS_CERT and SMITHERS_TLS_KEY, or listen on 127.0.0.1 behind a proxy that has them."
    const what = tls
      ? "TLS."
      : isLoopback(host)
      ? `Only this machine reaches ${host}.`
      : `${host} is reachable without TLS.`
    return finding("tls", why, tls || isLoopback(host) ? "ok" : "failed", what, fix, { host, tls })
  })

  const grants = Effect.gen(function*() {
    const all: globalThis.Array<TokenGrant> = []
    for (;;) {
      const page = yield* access.list({ afterTokenId: all.at(-1)?.tokenId, limit: Bounds.pageRows })
      all.push(...page)
      if (page.length < Bounds.pageRows) return grantFindings(all, yield* Clock.currentTimeMillis)
    }
  })

  const verified = Effect.gen(function*() {
    const { problem, rows, signedAtMs, signedThroughId } = yield* trail.verify
    const why = "An incident is reviewed by what the audit says."
    const fix = "Keep the home as it is and compare it with backups: `smithers audit verify` names the place."
    return problem === null
      ? finding("audit", why, "ok", `${rows} rows in order, signed through ${signedThroughId}.`, fix, {
        rows,
        signedThroughId,
        signedAtMs
      })
      : finding("audit", why, "failed", problem.detail, fix, { ...problem })
  })

  const sandboxProof = Effect.gen(function*() {
    const { runtime } = sandbox
    const why = "What a runtime is asked to enforce, it has to be seen enforcing."
    const fix = `Run \`smithers sandbox verify --runtime ${runtime}\`.`
    if (runtime === "process") {
      return finding(
        "sandbox",
        why,
        "failed",
        "The runtime `process` isolates nothing.",
        "Use bubblewrap or a container."
      )
    }
    const last = yield* lastOf("sandbox.verify", runtime)
    if (last === undefined) return finding("sandbox", why, "failed", `${runtime} was never verified.`, fix)
    const what = `${runtime} was verified ${days(last.ageMs)} ago.`
    return finding("sandbox", why, last.ageMs <= limits.sandboxProofMs ? "ok" : "warning", what, fix, {
      atMs: last.atMs
    })
  })

  const approvals = Effect.gen(function*() {
    const pending = yield* engine.approvals({ limit: Bounds.pageRows })
    const alone = pending.filter(({ fallbackOwner, owner }) => owner === null || fallbackOwner === null)
    const why = "An approval that nobody owns waits for ever."
    const fix =
      "Name an owner and a fallback owner where the workflow asks: Approval.request({ owner, fallbackOwner })."
    return alone.length === 0
      ? finding("approvals", why, "ok", `Each of ${pending.length} pending approvals has an owner and a fallback.`, fix)
      : finding("approvals", why, "failed", `${alone.length} pending approvals lack an owner or a fallback.`, fix, {
        workflows: [...new Set(alone.map(({ workflow }) => workflow))].slice(0, 20)
      })
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

  const one = <E>(check: Effect.Effect<Finding, E>) => Effect.map(check, Array.of)
  const findings = Effect.map(
    Effect.all([
      one(durability),
      one(journalMode),
      one(backups),
      one(drilled),
      one(transport),
      grants,
      one(verified),
      one(sandboxProof),
      one(approvals),
      one(held)
    ]),
    Array.flatten
  )
  return { findings }
})
