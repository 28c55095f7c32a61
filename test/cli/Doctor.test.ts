import { NodeContext } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { DoctorDocument } from "../../src/cli/Documents.ts"
import { document, failure, makeHome, service, smithers } from "./Smithers.ts"

layer(NodeContext.layer, { excludeTestServices: true })("doctor", (it) => {
  it.scoped(
    "answers the release checklist with evidence, and turns to yes when the operator has done what it says",
    () =>
      Effect.gen(function*() {
        const home = yield* makeHome
        const { env } = yield* service(home)
        const asked = smithers(["doctor", "--json"], env)
        const first = yield* asked
        assert.strictEqual(first.code, 1)
        const { message } = yield* failure(first)
        assert.include(message, "backup.age")
        assert.include(message, "backup.drill")

        yield* smithers(["token", "issue", "--scopes", "*"], env)
        yield* smithers(["token", "issue", "--scopes", "run:write,approval:submit"], env)
        yield* smithers(["backup", "create"], env)
        yield* smithers(["backup", "drill"], env)
        yield* smithers(["audit", "export", "--output", `${home}/out.ndjson`], env)
        const { findings } = yield* document(DoctorDocument, { ...(yield* asked), code: 0 })
        const statusOf = Object.fromEntries(findings.map(({ check, status }) => [check, status]))
        assert.deepInclude(statusOf, {
          "durability": "ok",
          "wal": "ok",
          "backup.age": "ok",
          "backup.drill": "ok",
          "tls": "ok",
          "audit": "ok",
          "approvals": "ok",
          "runs.held": "ok",
          "grants.unscoped": "failed",
          "grants.launch-and-approve": "warning",
          "grants.unbounded": "warning"
        })
        for (const { fix, status, why } of findings) {
          assert.isNotEmpty(why)
          assert.strictEqual(fix === null, status === "ok")
        }
      }),
    120_000
  )
})
