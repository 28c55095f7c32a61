import { Effect, Option } from "effect"
import { Audit } from "../../../audit/index.ts"
import { Deployed } from "../../Deployed.ts"
import { GatewayConfig } from "../../GatewayConfig.ts"
import { isLoopback } from "../isLoopback.ts"
import { dayMs, days, finding, makeLast } from "./Findings.ts"

const scanMs = 30 * dayMs

/** Whether what runs is what was released: the build, its modules, how it is reached, what it keeps to itself. */
export const make = Effect.gen(function*() {
  const deployed = yield* Deployed
  const { host, tls } = yield* GatewayConfig
  const last = makeLast(yield* Audit.Audit)

  const build = Effect.sync(() => {
    const why = "What was not tested is not released."
    const fix = "Commit, let `npm run verify` pass on that commit, and deploy the build that it leaves."
    const record = deployed.build
    if (record === null || record.commit === null) {
      return finding("build", why, "unknown", "Commit and gate of this build are not recorded.", fix)
    }
    const evidence = { ...record }
    if (record.dirty) {
      return finding(
        "build",
        why,
        "warning",
        `Built from ${record.commit} and changes that nobody committed.`,
        fix,
        evidence
      )
    }
    return record.verified
      ? finding("build", why, "ok", `Built from ${record.commit}, on which verify passed.`, fix, evidence)
      : finding(
        "build",
        why,
        "unknown",
        `Built from ${record.commit}; that verify passed is not recorded.`,
        fix,
        evidence
      )
  })

  const modules = Effect.sync(() => {
    const why = "The workflows of a module that did not load cannot be launched, and their runs are held."
    const fix = "Mend the module or take it out of SMITHERS_WORKFLOWS, and restart."
    const { modulesFailed } = deployed
    return modulesFailed.length === 0
      ? finding("modules", why, "ok", "Every workflow module is loaded.", fix)
      : finding("modules", why, "failed", `${modulesFailed.length} workflow modules are not loaded.`, fix, {
        modules: modulesFailed.map(({ detail, file, reason }) => ({ file, reason, detail }))
      })
  })

  const transport = Effect.sync(() => {
    const why = "Tokens and payloads must not travel in the clear."
    const fix = "Set SMITHERS_TLS_CERT and SMITHERS_TLS_KEY, or listen on 127.0.0.1 behind a proxy that has them."
    const encrypted = Option.isSome(tls)
    const what = encrypted
      ? "TLS."
      : isLoopback(host)
      ? `Only this machine reaches ${host}.`
      : `${host} is reachable without TLS.`
    return finding("tls", why, encrypted || isLoopback(host) ? "ok" : "failed", what, fix, { host, tls: encrypted })
  })

  const secrets = Effect.gen(function*() {
    const why = "A secret at rest is in every backup."
    const fix = "Run `smithers doctor secrets`; revoke what it finds, and delete what holds it."
    const scan = yield* last("secrets.scan")
    if (scan === undefined) return finding("secrets", why, "warning", "Nobody has looked for secrets yet.", fix)
    const evidence = { atMs: scan.atMs, ...scan.detail }
    if (scan.outcome !== "ok") {
      return finding("secrets", why, "failed", `The last scan, ${days(scan.ageMs)} ago: ${scan.reason}.`, fix, evidence)
    }
    const what = `None was found ${days(scan.ageMs)} ago.`
    return finding("secrets", why, scan.ageMs <= scanMs ? "ok" : "warning", what, fix, evidence)
  })

  return [build, modules, transport, secrets]
})
