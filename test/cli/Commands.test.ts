import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import {
  CacheDocument,
  DecisionDocument,
  IssuedDocument,
  PsDocument,
  RunDocument,
  ShowDocument,
  TokensDocument,
  WorkflowsDocument
} from "../../src/cli/Documents.ts"
import { CacheExplanation, CancelRun, DeleteRun, EventRow, PurgeCache, RetryTask } from "../../src/gateway/contract.ts"
import { document, documents, eventually, failure, makeHome, running, service, smithers } from "./Smithers.ts"

/** One service for all tests of this file, each with runs of its own. */
class Served extends Context.Tag("smithers-orchestrator/test/cli/Commands.test/Served")<Served, {
  readonly home: string
  readonly url: string
  /** Waits until the events of a run say so. */
  readonly until: (runId: string, text: string) => Effect.Effect<string>
  readonly call: (...args: ReadonlyArray<string>) => ReturnType<typeof smithers>
}>() {}

const served = Layer.scoped(
  Served,
  Effect.gen(function*() {
    const home = yield* makeHome
    const { env, info } = yield* service(home)
    return Served.of({
      home,
      url: info.url,
      until: (runId, text) => eventually(runId, text, env),
      call: (...args) => smithers(args, env)
    })
  })
)

layer(Layer.provideMerge(served, NodeContext.layer), { excludeTestServices: true })("commands", (it) => {
  it.effect("run, show, approve, events, ps, delete: a run from beginning to end", () =>
    Effect.gen(function*() {
      const { call, until } = yield* Served
      const launched = yield* call("run", "greet", "--input", `{"name":"Ada"}`, "--run-id", "ada")
      assert.deepStrictEqual(launched, { code: 0, stdout: "Run ada of greet has started.\n", stderr: "" })

      yield* until("ada", "RunStatusChanged")
      const shown = yield* document(ShowDocument, yield* call("show", "ada", "--json"))
      assert.strictEqual(shown.run.status, "waiting-approval")
      assert.deepStrictEqual(shown.nodes.map(({ nodeId, state }) => [nodeId, state]), [
        ["compose", "finished"],
        ["send", "waiting-approval"]
      ])
      const [approval] = shown.approvals
      assert.deepStrictEqual(approval?.payload, { text: "Hello Ada" })
      const forPeople = yield* call("show", "ada")
      for (const text of ["waiting-approval", "approval of send", "Hello Ada", approval!.payloadSha256]) {
        assert.include(forPeople.stdout, text)
      }

      const other = yield* call("approve", "ada", "send", "--sha256", "0".repeat(64))
      assert.strictEqual(other.code, 6)
      assert.include(other.stderr, approval!.payloadSha256)

      const approved = yield* call("approve", "ada", "send", "--note", "fine", "--sha256", approval!.payloadSha256)
      assert.strictEqual(approved.code, 0)
      assert.include(approved.stdout, "Hello Ada")
      assert.include(approved.stdout, approval!.payloadSha256)

      const again = yield* call("approve", "ada", "send", "--json")
      assert.strictEqual(again.code, 6)
      assert.strictEqual((yield* failure(again)).code, "NOT_WAITING")

      const followed = yield* call("run", "greet", "--input", `{"name":"Ada"}`, "--run-id", "ada", "--json")
      assert.strictEqual(followed.code, 6)
      assert.strictEqual((yield* failure(followed)).code, "CONFLICT")

      yield* until("ada", "RunFinished")
      const events = yield* documents(EventRow, yield* call("events", "ada", "--json"))
      assert.deepStrictEqual(events.map(({ seq }) => seq), events.map((_, index) => index + 1))
      assert.strictEqual(events[0]?.event, "RunStarted")
      const later = yield* documents(EventRow, yield* call("events", "ada", "--after", "3", "--json"))
      assert.deepStrictEqual(later.map(({ seq }) => seq), events.map(({ seq }) => seq).slice(3))

      const { runs } = yield* document(PsDocument, yield* call("ps", "--json", "--workflow", "greet"))
      assert.isTrue(runs.some(({ runId }) => runId === "ada"))
      assert.match((yield* call("ps")).stdout, /^RUN +WORKFLOW +STATUS +AGE\n/)

      assert.strictEqual((yield* call("cancel", "ada")).code, 6)
      assert.strictEqual((yield* call("resume", "ada")).code, 6)
      assert.strictEqual((yield* call("pause", "ada")).code, 6)
      yield* document(DeleteRun.successSchema, yield* call("runs", "delete", "ada", "--json"))
      const gone = yield* call("show", "ada", "--json")
      assert.strictEqual(gone.code, 5)
      assert.strictEqual((yield* failure(gone)).exitCode, 5)
    }))

  it.scoped("run --follow shows what happens until the end, and its exit code says how it ended", () =>
    Effect.gen(function*() {
      const { call, home } = yield* Served
      const env = { SMITHERS_HOME: home }
      const following = yield* running(
        ["run", "greet", "--input", "{\"name\":\"Bob\"}", "--run-id", "bob", "--follow"],
        env
      )
      assert.include(yield* following.until("smithers approve bob send"), "compose")
      assert.strictEqual((yield* call("approve", "bob", "send")).code, 0)
      const { code, stdout } = yield* following.ended
      assert.strictEqual(code, 0)
      assert.match(stdout, /Run bob finished\.\n\{\n {2}"text": "Hello Bob"\n\}\n$/)

      const failed = yield* call("run", "insult", "--input", `{"word":"fie"}`, "--run-id", "fie", "--follow", "--json")
      assert.strictEqual(failed.code, 1)
      const lines = yield* documents(RunDocument, failed)
      assert.strictEqual(lines[0]?.type, "launched")
      assert.strictEqual(lines.at(-1)?.type, "ended")
      assert.isTrue(lines.slice(1, -1).every(({ type }) => type === "event"))
      assert.match((yield* failure(failed)).message, /fie is failed: Rude: "fie" is rude/)

      yield* document(RetryTask.successSchema, yield* call("retry", "fie", "say", "--json"))
      assert.strictEqual((yield* call("retry", "fie", "nothing")).code, 5)
    }))

  it.scoped("events --follow goes on with what is new; interrupted it has not finished", () =>
    Effect.gen(function*() {
      const { call, home } = yield* Served
      assert.strictEqual((yield* call("run", "greet", "--input", `{"name":"Eve"}`, "--run-id", "eve")).code, 0)
      const following = yield* running(["events", "eve", "--follow", "--json"], { SMITHERS_HOME: home })
      yield* following.until("NodeWaitingApproval")
      const denied = yield* document(DecisionDocument, yield* call("deny", "eve", "send", "--note", "no", "--json"))
      assert.isFalse(denied.decision.approved)
      const text = yield* following.until("RunFailed")
      const seqs = text.trimEnd().split("\n").map((line) => (JSON.parse(line) as { readonly seq: number }).seq)
      assert.deepStrictEqual(seqs, seqs.map((_, index) => index + 1))
      yield* following.kill("SIGINT")
      assert.strictEqual((yield* following.ended).code, 130)
    }))

  it.effect("cancel ends a parked run, and cannot be done to no run", () =>
    Effect.gen(function*() {
      const { call, until } = yield* Served
      yield* call("run", "greet", "--input", `{"name":"Cy"}`, "--run-id", "cy")
      yield* until("cy", "RunStatusChanged")
      yield* document(CancelRun.successSchema, yield* call("cancel", "cy", "--json"))
      const { run } = yield* document(ShowDocument, yield* call("show", "cy", "--json"))
      assert.strictEqual(run.status, "cancelled")
      assert.strictEqual((yield* call("cancel", "nobody")).code, 5)
    }))

  it.effect("an idempotency key answers the run that it started", () =>
    Effect.gen(function*() {
      const { call } = yield* Served
      const run = () => call("run", "greet", "--input", `{"name":"Ida"}`, "--idempotency-key", "ida", "--json")
      const [first] = yield* documents(RunDocument, yield* run())
      const [second] = yield* documents(RunDocument, yield* run())
      assert.isTrue(first?.type === "launched" && !first.existing)
      assert.isTrue(
        second?.type === "launched" && second.existing && first?.type === "launched" &&
          second.runId === first.runId
      )
    }))

  it.effect("input comes as JSON, from a file or from standard input; anything else is refused", () =>
    Effect.gen(function*() {
      const { call, home } = yield* Served
      const env = { SMITHERS_HOME: home }
      const piped = yield* smithers(["run", "greet", "--input", "-", "--run-id", "piped"], env, {
        stdin: `{"name":"Pia"}`
      })
      assert.strictEqual(piped.code, 0, piped.stderr)
      yield* Effect.flatMap(FileSystem.FileSystem, (fs) => fs.writeFileString(`${home}/fay.json`, `{"name":"Fay"}`))
      const file = yield* call("run", "greet", "--input", `@${home}/fay.json`, "--run-id", "fay")
      assert.strictEqual(file.code, 0, file.stderr)
      for (const input of ["[1]", "{", "@/no/such/file", "7"]) {
        const refused = yield* call("run", "greet", "--input", input, "--json")
        assert.strictEqual(refused.code, 2, input)
        assert.strictEqual((yield* failure(refused)).field, "--input")
      }
      const missing = yield* call("run", "greet", "--input", `{"nam":"x"}`)
      assert.strictEqual(missing.code, 2)
      assert.match(missing.stderr, /input\.name/)
      assert.strictEqual((yield* call("run", "no-such-workflow")).code, 5)
    }))

  it.effect("workflows list", () =>
    Effect.gen(function*() {
      const { call } = yield* Served
      const { workflows } = yield* document(WorkflowsDocument, yield* call("workflows", "list", "--json"))
      assert.deepStrictEqual(workflows.map(({ key }) => key), ["double", "greet", "insult"])
    }))

  it.effect("cache list, explain and purge: what tasks share, why one missed, and an end to it", () =>
    Effect.gen(function*() {
      const { call, until } = yield* Served
      const run = (runId: string, input: string) =>
        Effect.zipRight(call("run", "double", "--input", input, "--run-id", runId), until(runId, "RunFinished"))
      yield* run("first", `{"n":21,"times":2}`)
      yield* run("again", `{"n":21,"times":2}`)
      yield* run("other", `{"n":21,"times":3}`)

      const { entries } = yield* document(CacheDocument, yield* call("cache", "list", "--task", "multiply", "--json"))
      assert.deepStrictEqual(entries.map(({ runId, scope, tags }) => [runId, scope, tags]), [
        ["other", "workflow", ["arithmetic"]],
        ["first", "workflow", ["arithmetic"]]
      ])
      assert.match(
        (yield* call("cache", "list", "--tag", "arithmetic")).stdout,
        /^KEY +SCOPE .*\n.* other\n.* first\n$/
      )
      assert.strictEqual((yield* call("cache", "list", "--tag", "poetry")).stdout, "No cached results.\n")

      const hit = yield* document(CacheExplanation, yield* call("cache", "explain", "again", "multiply", "--json"))
      assert.strictEqual(hit.said?.type === "CacheHit" ? hit.said.data.producer.runId : null, "first")
      const missed = yield* call("cache", "explain", "other", "multiply")
      assert.match(missed.stdout, /Then +\S+ +miss \(Absent\)/)
      assert.match(missed.stdout, /Now +hit: There is an entry of this key now, .*by\.times is 3, was 2/)
      const shown = yield* document(ShowDocument, yield* call("show", "again", "--json"))
      assert.isTrue(shown.nodes[0]?.cached)
      assert.match((yield* call("show", "again")).stdout, /multiply +task +finished \(cached\)/)
      assert.match((yield* call("events", "again")).stdout, /CacheHit +multiply +of multiply in run first/)
      assert.match((yield* call("events", "first")).stdout, /CacheMiss +multiply +Absent/)

      const purge = (...options: ReadonlyArray<string>) => call("cache", "purge", "--json", ...options)
      const unbounded = yield* purge()
      assert.strictEqual(unbounded.code, 2)
      assert.strictEqual((yield* failure(unbounded)).field, "--all")
      assert.strictEqual((yield* purge("--older-than", "soon")).code, 2)
      const counted = yield* document(PurgeCache.successSchema, yield* purge("--run", "other", "--dry-run"))
      assert.strictEqual(counted.entries, 1)
      const purged = yield* document(PurgeCache.successSchema, yield* purge("--run", "other"))
      assert.deepStrictEqual(purged, { ...counted, dryRun: false })

      const gone = yield* call("cache", "explain", "other", "multiply")
      assert.match(gone.stdout, /Now +miss: .*by\.times is 3, was 2/)
      assert.match(gone.stdout, /≠ +by\.times +3 +2/)
      assert.strictEqual((yield* call("cache", "explain", "first", "nothing")).code, 5)
      assert.strictEqual((yield* call("cache", "explain", "nobody", "multiply")).code, 5)
      const all = yield* call("cache", "purge", "--all", "--yes")
      assert.match(all.stdout, /^1 cached results of \d+ bytes are removed\.\n$/)

      const { token } = yield* document(
        IssuedDocument,
        yield* call("token", "issue", "--scopes", "run:read", "--json")
      )
      assert.strictEqual((yield* call("cache", "list", "--token", token)).code, 0)
      assert.strictEqual((yield* purge("--all", "--token", token)).code, 4)
    }))

  it.effect("tokens are made, listed, replaced and ended through the running service", () =>
    Effect.gen(function*() {
      const { call } = yield* Served
      const { grant, token } = yield* document(
        IssuedDocument,
        yield* call("token", "issue", "--scopes", "run:read", "--ttl", "2h", "--label", "ci", "--json")
      )
      assert.strictEqual((yield* call("ps", "--token", token)).code, 0)
      const forbidden = yield* call("run", "greet", "--token", token, "--json")
      assert.strictEqual(forbidden.code, 4)
      assert.strictEqual((yield* failure(forbidden)).code, "FORBIDDEN")

      const listed = yield* call("token", "list", "--json")
      const { tokens } = yield* document(TokensDocument, listed)
      assert.include(tokens.map(({ tokenId }) => tokenId), grant.tokenId)
      assert.notInclude(listed.stdout, token)

      const rotated = yield* document(IssuedDocument, yield* call("token", "rotate", grant.tokenId, "--json"))
      assert.strictEqual((yield* call("ps", "--token", token)).code, 4)
      assert.strictEqual((yield* call("token", "revoke", rotated.grant.tokenId)).code, 0)
      const revoked = yield* call("ps", "--token", rotated.token)
      assert.strictEqual(revoked.code, 4)
      assert.match(revoked.stderr, /revoked/)
      assert.strictEqual((yield* call("token", "revoke", "0".repeat(16))).code, 5)
      assert.strictEqual((yield* call("token", "issue", "--ttl", "soon")).code, 2)
      assert.strictEqual((yield* call("token", "issue", "--ttl", "999999d")).code, 2)
    }))

  it.effect("failures have their exit codes and say what to do", () =>
    Effect.gen(function*() {
      const { call } = yield* Served
      const unreachable = yield* call("ps", "--url", "http://127.0.0.1:1", "--json")
      assert.strictEqual(unreachable.code, 3)
      assert.match((yield* failure(unreachable)).fix ?? "", /smithers serve/)
      assert.strictEqual((yield* call("ps", "--token", "nonsense")).code, 4)
      assert.strictEqual((yield* call("approve", "nobody", "send")).code, 5)
      for (
        const [args, field] of [
          [["ps", "--status", "done"], /--status/],
          [["ps", "--limt", "3"], /--limt/],
          [["ps", "--url", "nonsense"], /--url/],
          [["run"], /workflow/],
          [["nonsense"], /nonsense|smithers/]
        ] as const
      ) {
        const refused = yield* call(...args)
        assert.strictEqual(refused.code, 2, args.join(" "))
        assert.strictEqual(refused.stdout, "")
        assert.match(refused.stderr, field)
      }
    }))
})
