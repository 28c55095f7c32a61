import { NodeHttpClient, NodeSocket } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Chunk, Effect, Layer, Redacted, Stream } from "effect"
import * as GatewayClient from "../../src/gateway/client.ts"
import { rpc, type Wire } from "./support/Http.ts"
import { address, adminToken, realGateway, tokenFor } from "./support/Service.ts"
import { connected } from "./support/Ws.ts"

const client = Effect.flatMap(
  address,
  ({ url }) => GatewayClient.make({ baseUrl: url, token: Redacted.make(adminToken) })
)

/** What a run asks for, once it has parked. */
const pendingApproval = (gateway: GatewayClient.GatewayClient, runId: string) =>
  gateway.streamRunEvents({ runId, afterSeq: 0 }).pipe(
    Stream.filter(({ event, payload }) => event === "RunStatusChanged" && payload["status"] === "waiting-approval"),
    Stream.take(1),
    Stream.runDrain,
    Effect.zipRight(gateway.listApprovals({ runId })),
    Effect.map(([row]) => row!)
  )

layer(
  Layer.provideMerge(realGateway, Layer.merge(NodeHttpClient.layer, NodeSocket.layerWebSocketConstructor)),
  { excludeTestServices: true }
)("the main job over the wire, with the real engine", (it) => {
  it.effect("launch, follow, approve what was shown, finish", () =>
    Effect.gen(function*() {
      const gateway = yield* client
      const { runId } = yield* gateway.launchRun({ workflow: "demo", input: { question: "first" } })
      const approval = yield* pendingApproval(gateway, runId)
      assert.deepStrictEqual([approval.nodeId, approval.requestTitle], ["gate", "Ship it?"] as Array<string>)
      assert.deepStrictEqual(approval.payload, { answer: 41 })
      const waiting = yield* gateway.getRun({ runId })
      assert.deepStrictEqual([waiting.runState.state, waiting.runState.blocked?.nodeId], ["waiting-approval", "gate"])
      const at = { runId, nodeId: "gate", payloadSha256: approval.payloadSha256 }
      yield* gateway.submitApproval({ ...at, approved: true, note: "fine" })
      const again = yield* Effect.flip(gateway.submitApproval({ ...at, approved: false }))
      assert.deepInclude(again as object, { code: "AlreadyDecided" })
      const events = Chunk.toReadonlyArray(
        yield* gateway.streamRunEvents({ runId, afterSeq: 0 }).pipe(
          Stream.takeUntil(({ event }) => event === "run.completed"),
          Stream.runCollect
        )
      )
      assert.deepStrictEqual(events.map(({ seq }) => seq), events.map((_, index) => index + 1))
      const names = events.map(({ event }) => event)
      for (const name of ["approval.requested", "approval.decided", "run.completed"]) {
        assert.lengthOf(names.filter((event) => event === name), 1, name)
      }
      assert.deepStrictEqual(events.at(-1)!.payload, { runId, status: "finished" })
      const run = yield* gateway.getRun({ runId })
      assert.deepInclude(run, { status: "finished", output: { answer: 42 } })
      assert.deepInclude(yield* gateway.getNodeOutput({ runId, nodeId: "ship" }), {
        status: "produced",
        row: { answer: 42 }
      })
    }))

  it.effect("a launch with an id that exists is CONFLICT and changes nothing; an idempotency key answers the first run", () =>
    Effect.gen(function*() {
      const gateway = yield* client
      const input = { question: "second" }
      yield* gateway.launchRun({ workflow: "demo", input, options: { runId: "once", idempotencyKey: "k1" } })
      const conflict = yield* Effect.flip(gateway.launchRun({ workflow: "demo", input, runId: "once" }))
      assert.deepInclude(conflict, { code: "CONFLICT" })
      const same = yield* gateway.launchRun({ workflow: "demo", input, options: { idempotencyKey: "k1" } })
      assert.deepStrictEqual([same.runId, same.existing], ["once", true] as Array<unknown>)
    }))

  it.effect("an input that the workflow does not take, and a workflow that is none, are told", () =>
    Effect.gen(function*() {
      const invalid = yield* rpc("launchRun", { workflow: "demo", input: { question: 5 } })
      assert.deepStrictEqual([invalid.status, invalid.frame.error.code], [400, "INVALID_INPUT"])
      assert.include(invalid.frame.error.message, "question")
      const unknown = yield* rpc("launchRun", { workflow: "nothing" })
      assert.deepStrictEqual([unknown.status, unknown.frame.error.code], [404, "NOT_FOUND"])
    }))

  it.effect("a decision about something else than what waits is refused", () =>
    Effect.gen(function*() {
      const gateway = yield* client
      const { runId } = yield* gateway.launchRun({ workflow: "demo", input: { question: "third" } })
      yield* pendingApproval(gateway, runId)
      const changed = yield* Effect.flip(
        gateway.submitApproval({ runId, nodeId: "gate", approved: true, payloadSha256: "0".repeat(64) })
      )
      assert.deepInclude(changed as object, { code: "CONFLICT" })
      const elsewhere = yield* Effect.flip(gateway.submitApproval({ runId, nodeId: "think", approved: true }))
      assert.deepInclude(elsewhere as object, { code: "INVALID_INPUT" })
      yield* gateway.submitApproval({ runId, nodeId: "gate", decision: { approved: false, note: "not now" } })
      const last = yield* gateway.streamRunEvents({ runId, afterSeq: 0 }).pipe(
        Stream.filter(({ event }) => event === "run.completed"),
        Stream.runHead
      )
      assert.deepInclude((last as Wire).value.payload, { status: "failed" })
    }))

  it.effect("cancel ends a parked run, and an ended one can be deleted", () =>
    Effect.gen(function*() {
      const gateway = yield* client
      const { runId } = yield* gateway.launchRun({ workflow: "demo", input: { question: "fourth" } })
      yield* pendingApproval(gateway, runId)
      const active = yield* Effect.flip(gateway["runs.delete"]({ runId }))
      assert.deepInclude(active, { code: "RUN_ACTIVE" })
      yield* gateway.cancelRun({ runId })
      yield* gateway.streamRunEvents({ runId, afterSeq: 0 }).pipe(
        Stream.takeUntil(({ event }) => event === "run.completed"),
        Stream.runDrain
      )
      assert.strictEqual((yield* gateway.getRun({ runId })).status, "cancelled")
      assert.deepInclude(yield* gateway["runs.delete"]({ runId }), { deleted: true })
      assert.deepInclude(yield* Effect.flip(gateway.getRun({ runId })), { code: "NOT_FOUND" })
    }))

  it.scoped("a reader sees approvals only with their scope, and decides only with theirs", () =>
    Effect.gen(function*() {
      const reader = yield* connected((yield* tokenFor(["run:read"])).token)
      assert.strictEqual((yield* reader.call("listApprovals", {})).error.code, "FORBIDDEN")
      const approver = yield* connected((yield* tokenFor(["approval:submit"])).token)
      assert.isTrue((yield* approver.call("listApprovals", {})).ok)
      const refused = yield* reader.call("submitApproval", { runId: "once", nodeId: "gate", approved: true })
      assert.deepInclude(refused.error, { code: "FORBIDDEN", requiredScope: "approval:submit" })
    }))
})
