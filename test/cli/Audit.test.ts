import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import { Effect } from "effect"
import {
  AuditDocument,
  AuditExportDocument,
  AuditKeyDocument,
  AuditPrunedDocument,
  AuditVerificationDocument,
  BackupDocument,
  DrillDocument
} from "../../src/cli/Documents.ts"
import { document, eventually, failure, makeHome, service, smithers } from "./Smithers.ts"

layer(NodeContext.layer, { excludeTestServices: true })("audit", (it) => {
  it.scoped(
    "what happens to a service is listed, exported, verified with the public key, and tampering is named",
    () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const home = yield* makeHome
        const { ended, env, kill } = yield* service(home)
        yield* smithers(["run", "greet", "--input", `{"name":"Ada"}`, "--run-id", "r1"], env)
        yield* eventually("r1", "RunStatusChanged", env)
        yield* document(BackupDocument, yield* smithers(["backup", "create", "--json"], env))
        const key = yield* document(AuditKeyDocument, yield* smithers(["audit", "rotate-key", "--json"], env))
        const pem = `${home}/audit/public-key.pem`
        assert.strictEqual(yield* fs.readFileString(pem), key.publicKey)

        const found = yield* document(AuditVerificationDocument, yield* smithers(["audit", "verify", "--json"], env))
        assert.isNull(found.problem)
        const { rows } = yield* document(AuditDocument, yield* smithers(["audit", "list", "--json"], env))
        const launch = rows.find(({ action }) => action === "run.launch")
        assert.deepStrictEqual([launch?.runId, launch?.target, launch?.deployment], ["r1", "greet", "0.1.0"])
        assert.isString(launch?.requestId)
        assert.includeMembers(rows.map(({ action }) => action), ["service.start", "audit.rotate-key", "audit.verify"])

        const file = `${home}/out.ndjson`
        const exportTo = (...more: ReadonlyArray<string>) =>
          smithers(["audit", "export", "--output", file, "--json", ...more], env)
        const written = yield* document(AuditExportDocument, yield* exportTo())
        assert.isAbove(written.rows, 4)
        assert.strictEqual((yield* exportTo()).code, 6)
        const verifyFile = smithers(["audit", "verify", file, "--key", pem, "--json"], {})
        assert.isNull((yield* document(AuditVerificationDocument, yield* verifyFile)).problem)
        assert.include(yield* fs.readFileString(file), "backup.create")
        yield* fs.writeFileString(
          file,
          (yield* fs.readFileString(file)).replace("\"target\":\"greet\"", "\"target\":\"other\"")
        )
        const altered = yield* verifyFile
        assert.strictEqual(altered.code, 1)
        assert.strictEqual((yield* failure(altered)).code, "AUDIT_ALTERED")
        const csv = yield* smithers(["audit", "export", "--format", "csv", "--action", "run.launch"], env)
        assert.strictEqual(csv.stdout.trimEnd().split("\r\n").length, 2)
        const ocsf = yield* smithers(["audit", "export", "--format", "ocsf", "--run", "r1"], env)
        const event = JSON.parse(ocsf.stdout.split("\n")[0]!) as { class_uid: number; api: { operation: string } }
        assert.deepStrictEqual([event.class_uid, event.api.operation], [6003, "run.launch"])

        const pruned = yield* smithers(["audit", "prune", "--older-than", "90d", "--json"], env)
        assert.deepStrictEqual(yield* document(AuditPrunedDocument, pruned), { rows: 0, throughId: 0 })
        assert.strictEqual((yield* smithers(["audit", "prune", "--older-than", "1d", "--json"], env)).code, 2)

        yield* kill("SIGTERM")
        yield* ended
        const db = new Sqlite(`${home}/smithers.db`)
        db.exec("DROP TRIGGER _smithers_audit_no_update; UPDATE _smithers_audit SET actor = 'bob' WHERE id = 2")
        db.close()
        const again = yield* service(home)
        const named = yield* smithers(["audit", "verify", "--json"], again.env)
        assert.strictEqual(named.code, 1)
        assert.strictEqual((yield* failure(named)).code, "AUDIT_ALTERED")
      }),
    120_000
  )

  it.scoped(
    "a drill restores the newest backup beside the running service, and is in the audit",
    () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const home = yield* makeHome
        const { ended, env, kill } = yield* service(home)
        assert.strictEqual((yield* smithers(["backup", "drill"], env)).code, 5)
        const made = yield* document(BackupDocument, yield* smithers(["backup", "create", "--json"], env))
        const drilled = yield* document(DrillDocument, yield* smithers(["backup", "drill", "--json"], env))
        assert.strictEqual(drilled.file, made.file)
        assert.isAbove(drilled.auditRows, 0)
        yield* fs.writeFileString(made.file, "damaged")
        assert.strictEqual((yield* smithers(["backup", "drill"], env)).code, 1)
        assert.deepStrictEqual((yield* fs.readDirectory(home)).filter((name) => name.startsWith("drill-")), [])
        yield* kill("SIGTERM")
        yield* ended
        const again = yield* service(home)
        const { rows } = yield* document(
          AuditDocument,
          yield* smithers(["audit", "list", "--action", "backup.drill", "--json"], again.env)
        )
        assert.deepStrictEqual(rows.map(({ outcome }) => outcome), ["failed", "ok"])
      }),
    120_000
  )

  it.scoped("a restored backup is a restore of the audit, too, and no problem of it", () =>
    Effect.gen(function*() {
      const home = yield* makeHome
      const first = yield* service(home)
      const made = yield* document(BackupDocument, yield* smithers(["backup", "create", "--json"], first.env))
      yield* smithers(["run", "greet", "--input", `{"name":"Ada"}`, "--run-id", "r1"], first.env)
      yield* eventually("r1", "RunStatusChanged", first.env)
      yield* first.kill("SIGTERM")
      yield* first.ended
      assert.strictEqual((yield* smithers(["backup", "restore", made.file, "--force"], first.env)).code, 0)
      const second = yield* service(home)
      const found = yield* document(
        AuditVerificationDocument,
        yield* smithers(["audit", "verify", "--json"], second.env)
      )
      assert.deepStrictEqual([found.problem, found.restores], [null, 1])
    }), 120_000)
})
