import { FetchHttpClient } from "@effect/platform"
import { NodeContext, NodeSocket } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import { Effect, Layer, Option, Redacted, Stream } from "effect"
import { randomBytes } from "node:crypto"
import fs from "node:fs"
import path from "node:path"
import { WebSocket } from "ws"
import { SecretsDocument } from "../../src/cli/Documents.ts"
import { make as makeClient } from "../../src/gateway/client.ts"
import { alnum, draw } from "../secrets/support.ts"
import { document, makeHome, service, smithers } from "./Smithers.ts"

const leakModule = path.resolve("test/cli/modules/leak.ts")

/** New ones each time, so that nobody finds those of an earlier run, or of the sources. */
const seed = randomBytes(8).toString("hex")
const canary = draw(alnum, 40, `value ${seed}`)
const tail = draw(alnum, 36, `token ${seed}`)
const token = `ghp_${tail}`
const admin = draw(alnum, 40, `admin ${seed}`)

const forms = (text: string): ReadonlyArray<string> => {
  const bytes = Buffer.from(text)
  return [
    text,
    bytes.toString("hex"),
    bytes.toString("base64").replace(/=+$/, ""),
    Buffer.from(`x${text}`).toString("base64").slice(2, -4)
  ]
}
const secret = { "the value": forms(canary), "the credential": forms(token), "the admin token": forms(admin) }

/** Which of the canaries stand in the bytes, whatever they are. */
const heldBy = (bytes: Buffer | string): ReadonlyArray<string> =>
  Object.entries(secret).flatMap(([name, texts]) => texts.some((text) => bytes.includes(text)) ? [name] : [])

/** Every file below a directory that holds a canary, the database and its write-ahead log included. */
const filesWithCanary = (home: string): ReadonlyArray<string> =>
  fs.readdirSync(home, { recursive: true, encoding: "utf8" })
    .filter((name) => fs.statSync(path.join(home, name)).isFile())
    .flatMap((name) => heldBy(fs.readFileSync(path.join(home, name))).map((what) => `${name}: ${what}`))

const jsonOf = (value: unknown) => JSON.stringify(value)

interface Ended {
  readonly status: string
  readonly error: { readonly name: string; readonly message: string } | null
}

interface Said {
  readonly status: number
  readonly text: string
  readonly json: { readonly ok?: boolean; readonly payload?: Ended; readonly error?: { readonly message: string } }
}

const platform = Layer.mergeAll(NodeContext.layer, FetchHttpClient.layer, NodeSocket.layerWebSocketConstructor)

layer(platform, { excludeTestServices: true })("secrets of a running service", (it) => {
  it.scoped(
    "guarantee 6: canaries that are planted wherever there is a place for one come to rest nowhere",
    () =>
      Effect.gen(function*() {
        const home = `${yield* makeHome}/home`
        const served = yield* service(home, {
          SMITHERS_WORKFLOWS: leakModule,
          SMITHERS_ADMIN_TOKEN: admin,
          CANARY: canary
        })
        const { url } = served.info
        assert.deepStrictEqual(served.info.modules.failed, [])
        const answers: Array<string> = []
        const send = (target: string, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
          Effect.promise(async (): Promise<Said> => {
            const answer = await fetch(`${url}${target}`, {
              method: "POST",
              headers: { "x-smithers-key": admin, ...headers },
              body: typeof body === "string" ? body : jsonOf(body)
            })
            const text = await answer.text()
            answers.push(`${text} ${jsonOf([...answer.headers])}`)
            return { status: answer.status, text, json: JSON.parse(text) as Said["json"] }
          })
        const call = (method: string, params: unknown) => send(`/v1/rpc/${method}`, params)
        /** The message of a call that is refused. */
        const refused = (method: string, params: unknown) =>
          Effect.map(call(method, params), ({ json, status, text }) => {
            assert.strictEqual(status, 400, `${jsonOf(params)} ${text}`)
            return json.error?.message ?? ""
          })
        const launch = (input: unknown, more: object = {}) => ({ workflow: "leak", input, ...more })
        const run = (runId: string) =>
          Effect.map(call("getRun", { runId }), ({ json, text }): Ended => json.payload ?? assert.fail(text))
        const client = yield* makeClient({ baseUrl: url, token: Redacted.make(admin) })
        /** Looks at the run whenever something has happened in it, until it runs no longer. */
        const reach = (runId: string) =>
          client.streamRunEvents({ runId, afterSeq: 0 }).pipe(
            Stream.mapEffect(() => run(runId)),
            Stream.filter(({ status }) => status !== "running"),
            Stream.runHead,
            Effect.map(Option.getOrThrow)
          )

        // From here on the service knows the value.
        yield* call("launchRun", launch({ how: "nothing", parts: [] }, { runId: "prime" }))
        assert.strictEqual((yield* reach("prime")).status, "finished")

        const expected: Readonly<Record<string, readonly [status: string, says: string]>> = {
          "output": ["failed", "SecretRefused (SecretRefused): output.key holds"],
          "key": ["failed", "output (a key) holds"],
          "encoded": ["failed", "output.key holds"],
          "error": ["failed", "refused by [redacted]"],
          "retried": ["failed", "refused by [redacted]"],
          "undeclared": ["failed", "no [redacted]"],
          "defect": ["failed", "thrown: [redacted]"],
          "misfit": ["failed", "OutputInvalid"],
          "log": ["finished", ""],
          "result": ["failed", "result.key: holds"],
          "approval": ["failed", "approval ask.payload.a[0]: holds"],
          "title": ["failed", "approval ask.title: holds"],
          "label": ["finished", ""],
          "id": ["failed", "step id: holds"],
          "clock": ["failed", "step id: holds"],
          "activity": ["failed", "output.value.key holds"],
          "activity-error": ["failed", "refused by [redacted]"],
          "heartbeat": ["finished", ""],
          "ask": ["waiting-approval", ""]
        }
        for (const [name, parts] of [["value", []], ["format", ["gh", "p_", tail]]] as const) {
          for (const [how, [status, says]] of Object.entries(expected)) {
            const runId = `${name}.${how}`
            // What is only base64 of a credential is no format.
            if (runId === "format.encoded") continue
            yield* call("launchRun", launch({ how, parts }, { runId }))
            const ended = yield* reach(runId)
            assert.strictEqual(ended.status, status, `${runId}: ${ended.error?.message}`)
            assert.include(ended.error?.message ?? "", says, runId)
            yield* call("listEvents", { runId })
            yield* call("listNodeStates", { runId })
          }
        }

        // What callers send.
        for (const [what, text] of [["value of secret env:CANARY", canary], ["github-token", token]] as const) {
          const places: ReadonlyArray<readonly [string, string, unknown]> = [
            ["input.free.b", "launchRun", launch({ how: "", parts: [], free: { a: "", b: `x ${text}` } })],
            ["input.free (a key)", "launchRun", launch({ how: "", parts: [], free: { [text]: "" } })],
            ["runId", "launchRun", launch({ how: "", parts: [] }, { runId: text })],
            ["idempotencyKey", "launchRun", launch({ how: "", parts: [] }, { options: { idempotencyKey: text } })],
            ...["harness", "sessionId", "prompt"].map((member) =>
              [
                `startedBy.${member}`,
                "launchRun",
                launch({ how: "", parts: [] }, { options: { startedBy: { [member]: text } } })
              ] as const
            ),
            ["note", "submitApproval", { runId: "value.ask", nodeId: "ask", approved: true, note: `is ${text}` }],
            ["decision[1].k", "submitApproval", {
              runId: "value.ask",
              nodeId: "ask",
              decision: { approved: true, value: [1, { k: text }] }
            }],
            ["label", "tokens.issue", { scopes: ["run:read"], label: text }],
            ["userId", "tokens.issue", { scopes: ["run:read"], userId: text }],
            ["name", "orgs.create", { slug: "leak", name: `is ${text}` }],
            ["metadata.deep[0]", "orgs.update", { orgId: "kept", metadata: { deep: [text] } }],
            ["name", "projects.create", { orgId: "kept", slug: "leak", name: text }],
            ["idempotencyKey", "usage.record", { orgId: "kept", metric: "m", quantity: 1, idempotencyKey: text }]
          ]
          for (const [field, method, params] of places) {
            const message = yield* refused(method, params)
            assert.include(message, field)
            assert.include(message, what, field)
          }
          yield* refused("launchRun", launch({ how: [text], parts: text }))
          yield* refused("launchRun", { workflow: "leak", options: { startedBy: { [text]: 1 } } })
          for (
            const [target, body, headers] of [
              [`/v1/rpc/${text}`, {}],
              ["/v1/rpc/launchRun", { workflow: text }],
              ["/v1/rpc/getRun", { runId: text }],
              ["/v1/rpc/getNodeOutput", { runId: "value.ask", nodeId: text }],
              ["/v1/rpc/cancelRun", { runId: text }],
              ["/v1/rpc/tokens.revoke", { tokenId: text }],
              ["/v1/rpc/tokens.issue", { scopes: [text] }],
              ["/v1/rpc/tokens.issue", { scopes: ["run:read"], role: text }],
              ["/v1/rpc/getRun", `{"runId": "${text}`],
              ["/v1/rpc/getRun", { [text]: { deep: "x".repeat(20_000) } }],
              [`/v1/rpc/getRun?key=${text}`, { runId: "none" }],
              ["/rpc", { method: text }],
              ["/v1/rpc/health", {}, { "x-smithers-key": text }],
              ["/v1/rpc/health", {}, { "authorization": `Bearer ${text}` }],
              ["/v1/rpc/health", {}, { "cookie": `smithers_session=${text}`, "x-smithers-key": "" }],
              ["/v1/rpc/health", {}, { "origin": `https://${text}` }]
            ] satisfies ReadonlyArray<readonly [string, unknown, Record<string, string>?]>
          ) yield* send(target, body, headers)
          const frames = yield* Effect.promise(() =>
            new Promise<string>((resolve) => {
              const socket = new WebSocket(url.replace("http", "ws"))
              const got: Array<string> = []
              socket.on("open", () => {
                socket.send(`{"type":"req","id":"1","method":"${text}"`)
                socket.send(JSON.stringify({ type: "req", id: "2", method: text, params: { [text]: text } }))
                socket.send(JSON.stringify({
                  type: "req",
                  id: "3",
                  method: "connect",
                  params: { minProtocol: 1, maxProtocol: 1, client: { name: text }, auth: { token: text } }
                }))
              })
              socket.on("message", (data: Buffer) => got.push(data.toString()))
              socket.on("close", () => resolve(got.join("\n")))
            })
          )
          answers.push(frames)
        }
        // The runs that wait are decided with something that may be stored.
        for (const runId of ["value.ask", "format.ask"]) {
          assert.strictEqual(
            (yield* call("submitApproval", { runId, nodeId: "ask", approved: true, note: "fine" })).status,
            200
          )
          assert.strictEqual((yield* reach(runId)).status, "finished")
        }
        for (const format of ["ndjson", "csv", "ocsf"]) {
          let exported = ""
          let cursor: unknown = null
          do {
            const { text } = yield* call("audit.export", { format, ...(cursor === null ? {} : { cursor }) })
            exported += text
            cursor = (JSON.parse(text) as { readonly payload: { readonly next: unknown } }).payload.next
          } while (cursor !== null)
          assert.include(exported, "secret.refuse", format)
        }
        const listed = yield* call("listRuns", { filter: { limit: 1_000 } })
        assert.include(listed.text, "value.output")
        assert.deepStrictEqual(answers.flatMap((text) => heldBy(text).map((what) => `${what} in ${text}`)), [])

        // While the service runs, its last commits stand in the write-ahead log alone.
        assert.isAbove(fs.statSync(path.join(home, "smithers.db-wal")).size, 0)
        assert.deepStrictEqual(filesWithCanary(home), [])
        const env = { SMITHERS_HOME: home, CANARY: canary, ADMIN: admin }
        const refs = ["--ref", "env:CANARY", "--ref", "env:ADMIN", "--json"]
        const clean = yield* document(SecretsDocument, yield* smithers(["doctor", "secrets", ...refs], env))
        assert.deepStrictEqual(clean.findings, [])
        assert.isAbove(clean.scanned.texts, 500)

        yield* served.kill("SIGTERM")
        const { code, stderr, stdout } = yield* served.ended
        assert.strictEqual(code, 0)
        assert.include(stderr, "logged [redacted]")
        assert.deepStrictEqual([...heldBy(stdout), ...heldBy(stderr)], [])
        assert.deepStrictEqual(filesWithCanary(home), [])
        assert.strictEqual((yield* smithers(["doctor", "secrets", ...refs], env)).code, 0)
      }),
    120_000
  )

  it.scoped(
    "what a schema allows is stored, audited with the reason, and found by the doctor",
    () =>
      Effect.gen(function*() {
        const home = `${yield* makeHome}/home`
        const env = { SMITHERS_HOME: home, CANARY: canary }
        const doctor = (...args: ReadonlyArray<string>) => smithers(["doctor", "secrets", ...args], env)
        assert.strictEqual((yield* doctor()).code, 5)

        const served = yield* service(home, { SMITHERS_WORKFLOWS: leakModule, CANARY: canary })
        const launch = (runId: string, input: object) =>
          smithers(
            ["run", "leak", "--run-id", runId, "--follow", "--input", JSON.stringify({ parts: [], ...input })],
            env
          )
        assert.strictEqual((yield* launch("allowed", { how: "", key: token })).code, 0)
        assert.strictEqual((yield* launch("refused", { how: "", free: { a: token } })).code, 2)
        assert.strictEqual((yield* launch("failed", { how: "output" })).code, 1)
        // So the campaign would have seen it.
        assert.isNotEmpty(filesWithCanary(home))
        yield* smithers(["backup", "create", "--to", `${home}/backups/b`], env)
        fs.writeFileSync(`${home}/notes.txt`, `first\nthe key is ${token}\nand ${canary}\n`)

        const rows = () => {
          const db = new Sqlite(`${home}/smithers.db`, { readonly: true })
          const found = db.prepare(
            "SELECT action, target, outcome, reason, detail_json FROM _smithers_audit WHERE action LIKE 'secret.%' ORDER BY id"
          ).raw().all()
          db.close()
          return found
        }
        assert.deepStrictEqual(rows(), [
          [
            "secret.allow",
            "input.key",
            "ok",
            "a key for tests, of no use to anybody",
            `{"kind":"format","found":"github-token"}`
          ],
          ["secret.resolve", "env:CANARY", "ok", null, "{}"],
          ["secret.refuse", "input.free.a", "refused", null, `{"kind":"format","found":"github-token"}`],
          ["secret.resolve", "env:CANARY", "ok", null, "{}"],
          ["secret.refuse", "output.key", "refused", null, `{"kind":"value","found":"env:CANARY"}`]
        ])

        const inRow = (file: string) => ({
          file,
          table: "_smithers_runs",
          key: "allowed",
          column: "input_json",
          path: "input_json.key",
          kind: "format",
          found: "github-token"
        })
        const expected = [
          inRow("backups/b.db"),
          { file: "notes.txt", line: 2, kind: "format", found: "github-token" },
          inRow("smithers.db")
        ]
        for (const running of [true, false]) {
          const ended = yield* doctor("--json")
          assert.strictEqual(ended.code, 1)
          const { count, findings } = yield* document(SecretsDocument, ended)
          assert.deepStrictEqual<unknown>(findings, expected, running ? "while it runs" : "when it does not")
          assert.strictEqual(count, expected.length)
          if (running) {
            yield* served.kill("SIGKILL")
            yield* served.ended
          }
        }
        const withValue = yield* document(SecretsDocument, yield* doctor("--ref", "env:CANARY", "--json"))
        assert.deepStrictEqual<unknown>(withValue.findings, [
          ...expected.slice(0, 2),
          { file: "notes.txt", line: 3, kind: "value", found: "env:CANARY" },
          ...expected.slice(2)
        ])
        const said = yield* doctor("--ref", "env:CANARY")
        assert.strictEqual(said.code, 1)
        assert.match(said.stdout, /smithers\.db _smithers_runs +allowed input_json\.key +github-token/)
        assert.match(said.stderr, /4 secrets are stored/)
        assert.deepStrictEqual(heldBy(said.stdout + said.stderr), [])
        assert.strictEqual((yield* doctor("--ref", "CANARY")).code, 2)
        assert.strictEqual((yield* doctor("--ref", "env:ABSENT")).code, 5)
      }),
    120_000
  )
})
