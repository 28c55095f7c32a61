import { assert, layer } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import fs from "node:fs"
import { Access } from "../../src/access/index.ts"
import { ArtifactStore } from "../../src/artifacts/index.ts"
import { ControlPlane } from "../../src/control-plane/index.ts"
import { RunStore } from "../../src/journal/index.ts"
import { systemActor } from "../../src/model/index.ts"
import { Persistence } from "../../src/persistence/index.ts"
import { turn } from "../support/Home.ts"
import { bearer, parse, request, rpc } from "./support/Http.ts"
import { address, addRun, adminToken, realGateway, tokenFor } from "./support/Service.ts"

const put = (runId: string, name: string, content: Uint8Array | string, orgId?: string) =>
  Effect.flatMap(ArtifactStore.ArtifactStore, (store) =>
    store.put(
      { runId, name, tenant: orgId === undefined ? null : { orgId, projectId: null } },
      Buffer.from(content)
    ))

const pathOf = (runId: string, name: string) => `/v1/api/runs/${runId}/artifacts/${name}`

const get = (path: string, token = adminToken, method = "GET") => request(path, { headers: bearer(token), method })

/** The whole content, or why there is none. */
const download = (path: string) =>
  Effect.flatMap(address, ({ url }) =>
    Effect.tryPromise(async () => {
      const response = await fetch(`${url}${path}`, { headers: bearer(adminToken) })
      return { headers: response.headers, status: response.status, content: Buffer.from(await response.arrayBuffer()) }
    }))

const organization = (orgId: string) =>
  Effect.gen(function*() {
    const plane = yield* ControlPlane.ControlPlane
    const access = yield* Access.Access
    yield* plane.createOrg({ orgId, slug: orgId, name: orgId })
    const { secret } = yield* access.issue({ role: "viewer", orgId, actor: systemActor })
    return Redacted.value(secret)
  })

layer(realGateway, { excludeTestServices: true })("artifacts of a run", (it) => {
  it.effect("are listed page by page, in the order of their names", () =>
    Effect.gen(function*() {
      yield* addRun("listed")
      for (const name of ["b", "a/c", "d", "a.txt"]) yield* put("listed", name, name)
      const { frame: { payload: all } } = yield* rpc("listArtifacts", { runId: "listed" })
      assert.deepStrictEqual(all, [
        { name: "a.txt", bytes: 5 },
        { name: "a/c", bytes: 3 },
        { name: "b", bytes: 1 },
        { name: "d", bytes: 1 }
      ])
      const page = (after: string) =>
        Effect.map(rpc("listArtifacts", { runId: "listed", after, limit: 2 }), ({ frame }) => frame.payload)
      assert.deepStrictEqual(yield* page("a.txt"), all.slice(1, 3))
      assert.deepStrictEqual(yield* page("b"), all.slice(3))
      assert.strictEqual((yield* rpc("listArtifacts", { runId: "nobody" })).frame.error.code, "NOT_FOUND")
      assert.deepInclude((yield* rpc("listArtifacts", { runId: "listed", after: "../x" })).frame.error, {
        code: "INVALID_INPUT",
        field: "after"
      })
    }))

  it.effect("are handed over as files, whatever they hold", () =>
    Effect.gen(function*() {
      yield* addRun("got")
      const content = Buffer.alloc(3_000_000, "<script>alert(1)</script>")
      const { sha256 } = yield* put("got", "report/a \"b\" ä.html", content)
      const path = pathOf("got", "report/a%20%22b%22%20%C3%A4.html")
      const { content: got, headers, status } = yield* download(path)
      assert.strictEqual(status, 200)
      assert.isTrue(got.equals(content))
      const expected = {
        "content-length": "3000000",
        "content-type": "application/octet-stream",
        "content-disposition": "attachment; filename=\"a _b_ _.html\"; filename*=UTF-8''a%20%22b%22%20%C3%A4.html",
        "content-security-policy": "default-src 'none'; sandbox",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
        "etag": `"${sha256}"`
      }
      assert.deepInclude(Object.fromEntries(headers), expected)
      const head = yield* get(path, adminToken, "HEAD")
      assert.deepInclude(head.headers, expected)
      assert.deepStrictEqual([head.status, head.text], [200, ""])
      const { frame } = yield* rpc("getArtifact", { runId: "got", name: "report/a \"b\" ä.html" })
      assert.deepStrictEqual(frame.payload, { name: "report/a \"b\" ä.html", bytes: 3_000_000, sha256 })
      yield* put("got", "empty", "")
      assert.deepInclude(yield* get(pathOf("got", "empty")), { status: 200, text: "" })
    }))

  it.effect("a damaged one is never taken for whole: an answer says so, or the connection breaks", () =>
    Effect.gen(function*() {
      yield* addRun("damaged")
      const { location: small } = yield* put("damaged", "small", "right")
      fs.writeFileSync(small, "wrong")
      const answered = yield* get(pathOf("damaged", "small"))
      assert.strictEqual(answered.status, 500)
      assert.deepInclude(parse(answered.text).error, {
        code: "SERVER_ERROR",
        reason: "Altered",
        message: "Artifact small of run damaged is not what was put"
      })
      const content = Buffer.alloc(2_000_000, "x")
      for (const bytes of [2_000_000, 1_000_000]) {
        const { location: large } = yield* put("damaged", "large", content)
        fs.writeFileSync(large, Buffer.concat([content.subarray(0, bytes - 1), Buffer.from("y")]))
        assert.propertyVal(yield* Effect.flip(download(pathOf("damaged", "large"))), "_tag", "UnknownException")
      }
    }))

  it.effect("what is not there, or has an impossible name, is not handed over", () =>
    Effect.gen(function*() {
      yield* addRun("there")
      yield* put("there", "notes.md", "x")
      const told = (path: string, token?: string) =>
        Effect.map(get(path, token), ({ status, text }) => [status, parse(text).error.code])
      assert.deepStrictEqual(yield* told(pathOf("there", "none")), [404, "NOT_FOUND"])
      assert.deepStrictEqual(yield* told(pathOf("nobody", "notes.md")), [404, "NOT_FOUND"])
      for (const name of ["../there/notes.md", "..%2f..%2fsmithers.db", "%2e%2e/x", "/notes.md", ".x", "a%00", "x/"]) {
        assert.deepStrictEqual(yield* told(pathOf("there", name)), [400, "INVALID_INPUT"], name)
      }
      assert.strictEqual((yield* get(pathOf("there", "none"), adminToken, "HEAD")).status, 404)
      for (
        const path of ["/v1/api/runs/there/artifacts/", "/v1/api/runs/there/artifacts", "/v1/api/runs/a/b/artifacts/x"]
      ) {
        assert.strictEqual((yield* get(path)).status, 404)
      }
      assert.strictEqual((yield* get(pathOf("there", "notes.md"), adminToken, "POST")).status, 404)
    }))

  it.effect("are for those who may read the run: others are answered as if there were none", () =>
    Effect.gen(function*() {
      const [acme, beta] = yield* Effect.all([organization("acme"), organization("beta")])
      yield* addRun("acme.1", "demo", { tenant: { orgId: "acme", projectId: null } })
      yield* put("acme.1", "notes.md", "of acme", "acme")
      const path = pathOf("acme.1", "notes.md")
      assert.deepInclude(yield* get(path, acme), { status: 200, text: "of acme" })
      assert.deepInclude(yield* get(path), { status: 200, text: "of acme" })
      const foreign = yield* get(path, beta)
      const missing = yield* get(pathOf("acme.2", "notes.md"), beta)
      assert.strictEqual(foreign.status, 404)
      assert.deepStrictEqual(
        parse(foreign.text).error,
        parse(missing.text.replaceAll("acme.2", "acme.1")).error
      )
      assert.strictEqual((yield* get(path, beta, "HEAD")).status, 404)
      assert.strictEqual((yield* request(path)).status, 401)
      const { token } = yield* tokenFor(["approval:read"])
      assert.strictEqual((yield* get(path, token)).status, 403)
    }))

  it.effect("go when their run is deleted", () =>
    Effect.gen(function*() {
      yield* addRun("gone")
      const { location } = yield* put("gone", "notes.md", "x")
      const { write } = yield* Persistence.Persistence
      const runs = yield* RunStore.RunStore
      yield* write(runs.setStatus("gone", "finished", { finishedAtMs: 2_000 }))
      assert.isTrue((yield* rpc("runs.delete", { runId: "gone" })).frame.ok)
      yield* Effect.repeat(
        Effect.zipRight(turn, Effect.sync(() => fs.existsSync(location))),
        { until: (there) => !there }
      )
      assert.strictEqual((yield* get(pathOf("gone", "notes.md"))).status, 404)
    }))
})
