import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { AuditDocument, BackupDocument, DoctorDocument } from "../../src/cli/Documents.ts"
import { document, failure, makeHome, service, smithers } from "./Smithers.ts"

layer(NodeContext.layer, { excludeTestServices: true })("doctor", (it) => {
  it.scoped(
    "answers the release checklist with evidence, and turns to yes when the operator has done what it says",
    () =>
      Effect.gen(function*() {
        const home = yield* makeHome
        const fs = yield* FileSystem.FileSystem
        yield* fs.writeFileString(`${home}/broken.ts`, "export const x: = 1")
        const { env } = yield* service(home, { SMITHERS_WORKFLOWS: `${home}/broken.ts` })
        const asked = smithers(["doctor", "--json"], env)
        const first = yield* asked
        assert.strictEqual(first.code, 1)
        const { message } = yield* failure(first)
        assert.include(message, "backup.age")
        assert.include(message, "backup.drill")

        yield* smithers(["token", "issue", "--scopes", "*"], env)
        yield* smithers(["token", "issue", "--scopes", "run:write,approval:submit"], env)
        const made = yield* document(BackupDocument, yield* smithers(["backup", "create", "--json"], env))
        yield* smithers(["backup", "verify", made.file], env)
        yield* smithers(["backup", "drill"], env)
        yield* smithers(["doctor", "secrets"], env)
        const { findings } = yield* document(DoctorDocument, { ...(yield* asked), code: 0 })
        const statusOf = Object.fromEntries(findings.map(({ check, status }) => [check, status]))
        assert.deepInclude(statusOf, {
          "modules": "failed",
          "secrets": "ok",
          "backup.verified": "ok",
          "retention.audit": "ok",
          "retention.runs": "ok",
          "file-system": "ok",
          "foreign-keys": "ok",
          "durability": "ok",
          "wal": "ok",
          "backup.age": "ok",
          "backup.drill": "ok",
          "tls": "ok",
          "audit": "ok",
          "approvals": "ok",
          "approvals.declared": "ok",
          "deliveries": "ok",
          "runs.held": "ok",
          "grants.unscoped": "failed",
          "grants.launch-and-approve": "warning",
          "grants.unbounded": "warning"
        })
        assert.notStrictEqual(statusOf["build"], undefined)
        const { rows } = yield* document(AuditDocument, yield* smithers(["audit", "list", "--json"], env))
        const outcomes = rows.map(({ action, outcome }) => `${action} ${outcome}`)
        assert.includeMembers(outcomes, ["backup.verify ok", "secrets.scan ok", "workflow.load failed"])
        for (const { fix, status, why } of findings) {
          assert.isNotEmpty(why)
          assert.strictEqual(fix === null, status === "ok")
        }
      }),
    120_000
  )
})
