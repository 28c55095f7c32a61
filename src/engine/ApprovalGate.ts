import type { WorkflowEngine } from "@effect/workflow"
import { Context, Effect, Option, Schema } from "effect"
import { createHash } from "node:crypto"
import { ApprovalOutcome, Bounds, codecOf } from "../model/index.ts"
import { ApprovalPaths } from "./ApprovalPaths.ts"
import { awaitNode } from "./DurableWait.ts"
import { InvalidInput } from "./EngineError.ts"
import type { ActiveRun } from "./internal/ActiveRun.ts"
import { refuseSecrets } from "./internal/SecretCheck.ts"
import { CurrentIteration, currentRun, enter } from "./Step.ts"

/** What an approver is asked, and who is responsible for the answer. */
export interface ApprovalRequest {
  readonly id: string
  readonly title: string
  readonly summary?: string | undefined
  /** Shown to the approver as it is (JSON); the decision is bound to its hash. */
  readonly payload: unknown
  readonly owner?: string | undefined
  readonly fallbackOwner?: string | undefined
  /** Only holders of one of these scopes may decide; anybody with `approval:submit` if empty. */
  readonly allowedScopes?: ReadonlyArray<string> | undefined
  readonly allowedUsers?: ReadonlyArray<string> | undefined
}

const Payload = Schema.parseJson(Schema.Unknown)
const encodePayload = Schema.encode(Payload)
const outcomeCodec = codecOf(ApprovalOutcome)

const decidedOtherwise = "What was decided is not what would be carried out now."

/** SHA-256 (hex) of what an approver is shown. */
export const payloadSha256 = (payloadJson: string): string => createHash("sha256").update(payloadJson).digest("hex")

/** The payload with its members in the order of their names, so that equal payloads have one text and one hash. */
const canonical = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(canonical)
  if (typeof value === "object" && value !== null && !("toJSON" in value)) {
    return Object.fromEntries(
      Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([key, item]) => [key, canonical(item)])
    )
  }
  return value
}

/** Nothing of what is asked may hold a secret: it is stored, and shown to whoever may decide. */
const refuseAsked = (
  { services: { guard } }: ActiveRun,
  { id, payload: _, ...asked }: ApprovalRequest,
  payloadJson: string
) =>
  Effect.zipRight(
    refuseSecrets(guard, { field: `approval ${id}.payload`, text: payloadJson }),
    Effect.flatMap(encodePayload(asked), (text) => refuseSecrets(guard, { field: `approval ${id}`, text }))
  )

/** Whom the request does not name, the workflow may have declared. */
const withOwners = ({ workflow }: ActiveRun, asked: ApprovalRequest): ApprovalRequest => {
  const declared = Context.get(workflow.annotations, ApprovalPaths)?.find(({ id }) => id === asked.id)
  return declared === undefined
    ? asked
    : {
      ...asked,
      owner: asked.owner ?? declared.owner,
      fallbackOwner: asked.fallbackOwner ?? declared.fallbackOwner
    }
}

/**
 * Asks a person and waits for the answer, parked, for as long as it takes. The decision binds to the payload's hash: a
 * body that asks to approve something else than what was decided stops as diverged instead of going on.
 */
export const request = (
  given: ApprovalRequest,
  site: { readonly stack?: string }
): Effect.Effect<ApprovalOutcome, never, WorkflowEngine.WorkflowInstance> =>
  Effect.gen(function*() {
    const run = yield* currentRun
    const options = withOwners(run, given)
    const iteration = yield* CurrentIteration
    const stored = yield* enter(run, options.id, iteration, site)
    if (stored !== undefined && stored.kind !== "approval") {
      return yield* run.diverge(options.id, `The journal has a ${stored.kind} of this id, the code has an approval.`)
    }
    const payloadJson = yield* Effect.orDie(encodePayload(canonical(options.payload)))
    const size = Buffer.byteLength(payloadJson)
    if (size > Bounds.approvalPayloadBytes) {
      return yield* Effect.die(
        new InvalidInput({
          field: `approval ${options.id}.payload`,
          problem: `has ${size} bytes, at most ${Bounds.approvalPayloadBytes} can be shown`
        })
      )
    }
    const hash = payloadSha256(payloadJson)
    const { approvals } = run.services
    const shownHash = Effect.map(
      Effect.orDie(approvals.find(run.runId, options.id, iteration)),
      Option.map((asked) => asked.payloadSha256)
    )
    const changed = stored !== undefined && !Option.contains(yield* shownHash, hash)
    if (changed && stored.state === "finished") return yield* run.diverge(options.id, decidedOtherwise)
    if (stored === undefined || changed) yield* Effect.orDie(refuseAsked(run, options, payloadJson))
    const node = yield* awaitNode(run, {
      nodeId: options.id,
      iteration,
      kind: "approval",
      label: options.title,
      wait: "approval",
      opening: (atMs) => ({
        units: [approvals.request({
          runId: run.runId,
          workflow: run.workflow.name,
          nodeId: options.id,
          iteration,
          title: options.title,
          summary: options.summary ?? null,
          payloadJson,
          payloadSha256: hash,
          owner: options.owner ?? null,
          fallbackOwner: options.fallbackOwner ?? null,
          allowedScopes: options.allowedScopes ?? [],
          allowedUsers: options.allowedUsers ?? [],
          requestedAtMs: atMs
        })],
        events: [{
          runId: run.runId,
          type: "ApprovalRequested",
          timestampMs: atMs,
          nodeId: options.id,
          iteration,
          data: { title: options.title, payloadSha256: hash }
        }]
      }),
      withdrawal: [approvals.cancel(run.runId, options.id, iteration)]
      // A changed payload is asked anew; nobody has decided on it.
    }, changed ? undefined : stored)
    if (changed && !Option.contains(yield* shownHash, hash)) return yield* run.diverge(options.id, decidedOtherwise)
    return yield* Effect.catchAll(outcomeCodec.decode(node.outputJson), (error) =>
      run.diverge(options.id, `The stored decision cannot be read: ${error.message}`))
  })
