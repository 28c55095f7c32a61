import { Effect, Option } from "effect"
import { holds } from "../access/index.ts"
import { Audit } from "../audit/index.ts"
import { NodeNotFound } from "../engine/index.ts"
import { RunStore } from "../journal/index.ts"
import { Sandbox } from "../sandbox/index.ts"
import { Authorized, Caller } from "./Caller.ts"
import { failure, GetNodeDiff, GetRunDiff, ListSandboxes, SandboxRpcs, VerifySandbox } from "./contract.ts"
import { toSandboxRow } from "./internal/rows.ts"
import { failAs } from "./internal/wireErrors.ts"

/** Answers `SandboxRpcs` from the sandboxes and the rows of runs. */
export const layer = SandboxRpcs.middleware(Authorized).toLayer(Effect.gen(function*() {
  const audit = yield* Audit.Audit
  const sandbox = yield* Sandbox.Sandbox
  const runs = yield* RunStore.RunStore
  const gettingOfNode = failAs(GetNodeDiff.errorSchema)
  const gettingOfRun = failAs(GetRunDiff.errorSchema)
  const listing = failAs(ListSandboxes.errorSchema)
  const verifying = failAs(VerifySandbox.errorSchema)

  /** The row of the node, or why there is none. */
  const existing = Effect.fnUntraced(function*(runId: string, nodeId: string, iteration: number) {
    if (Option.isSome(yield* runs.findNode(runId, nodeId, iteration))) return
    yield* runs.get(runId)
    return yield* new NodeNotFound({ runId, nodeId, iteration })
  })

  return {
    getNodeDiff: ({ iteration, nodeId, runId }) =>
      Effect.gen(function*() {
        const found = yield* existing(runId, nodeId, iteration).pipe(
          Effect.zipRight(sandbox.nodeDiff(runId, nodeId, iteration)),
          gettingOfNode
        )
        if (Option.isNone(found)) {
          return yield* failure("AttemptNotFinished", `No changes of node ${nodeId} are recorded.`)
        }
        if ("status" in found.value) {
          const { maxBytes, sizeBytes } = found.value
          return yield* failure("DiffTooLarge", `The diff has ${sizeBytes} bytes, at most ${maxBytes} are sent.`, {
            sizeBytes,
            maxBytes
          })
        }
        return found.value
      }),

    getRunDiff: ({ runId }) =>
      Effect.gen(function*() {
        const found = yield* gettingOfRun(Effect.zipRight(runs.get(runId), sandbox.runDiff(runId)))
        return Option.isSome(found)
          ? found.value
          : yield* failure("AttemptNotFinished", `No changes of run ${runId} are recorded.`)
      }),

    "sandboxes.list": ({ runId }) =>
      Effect.gen(function*() {
        const { actor, reach } = yield* Caller
        const run = yield* runs.get(runId)
        const showsHost = reach === null && holds(actor.scopes, "run:admin")
        return (yield* sandbox.list(runId)).map((row) => toSandboxRow(row, run.runId, showsHost))
      }).pipe(listing),

    "sandbox.verify": (options) =>
      Effect.gen(function*() {
        const { actor } = yield* Caller
        const entry = { actor, action: "sandbox.verify", runId: null }
        const proof = yield* Effect.tapError(
          sandbox.verify(options),
          ({ message }) =>
            audit.record({ ...entry, target: options.runtime ?? null, outcome: "failed", reason: message, detail: {} })
        )
        const broken = proof.controls.filter(({ asked, enforced }) => asked && !enforced).map(({ control }) => control)
        const detail = { policyHash: proof.policyHash, broken }
        const outcome = broken.length === 0 ? "ok" as const : "failed" as const
        yield* audit.record({ ...entry, target: proof.runtime, outcome, reason: null, detail })
        return proof
      }).pipe(verifying)
  }
}))
