import type { WorkflowEngine } from "@effect/workflow"
import { Clock, Effect, ParseResult, Schema } from "effect"
import { Step } from "../engine/index.ts"
import { type Actor, Bounds, SandboxReview } from "../model/index.ts"
import {
  Change,
  Review,
  ReviewRejected,
  Sandbox,
  SandboxFailed,
  type SandboxPolicy,
  type SandboxRequest
} from "../sandbox/index.ts"
import * as Approval from "./Approval.ts"
import * as Task from "./Task.ts"

export { ReviewRejected, SandboxFailed } from "../sandbox/index.ts"

/** The service that executes; the layer of a workflow that uses `Sandbox.run` requires it. */
export const Service = Sandbox.Sandbox
export type Service = Sandbox.Sandbox

/** What is executed: a command, or a workflow. */
type Work =
  | {
    /** Program and arguments. */
    readonly command: ReadonlyArray<string>
    readonly workflow?: never
  }
  | {
    readonly command?: never
    /**
     * A workflow of this service, or its key. It is executed within the sandbox by an engine of its own, from the
     * beginning each time, with `input` as its payload; its result, as JSON, is what `output` decodes. It works in the
     * copy of the files. Nobody can answer it: an approval, a signal or a sandbox of its own fails it. Its secrets are the
     * variables of `env` and `secrets`, as `env:NAME`. Needs bubblewrap (or the process runtime) and some 256 MiB.
     */
    readonly workflow: string | { readonly name: string }
  }

interface CommonOptions<A, I> extends SandboxPolicy.Input {
  /** Identity within the run, as of a task. The review is the node `<id>:review`, the application `<id>:apply`. */
  readonly id: string
  readonly label?: string
  /** The configured runtime unless given. */
  readonly runtime?: SandboxRequest["runtime"]
  /** Handed to the command, or the workflow, as JSON; nothing secret. */
  readonly input: unknown
  /** What the command reads from its standard input; at most 16 MiB. */
  readonly stdin?: string
  /** What the command hands over: `outputs` of its result file, or the last line of its output as JSON. */
  readonly output: Schema.Schema<A, I>
  /** A directory that the command gets a copy of, and that accepted changes go back to. */
  readonly files?: SandboxRequest["files"]
  /** The whole environment of the command. */
  readonly env?: SandboxRequest["env"]
  readonly secrets?: SandboxRequest["secrets"]
  /** False: changes are not looked at and nothing is applied. True unless given. */
  readonly reviewDiffs?: boolean
  /** True: changes are applied without asking anybody. */
  readonly autoAcceptDiffs?: boolean
  /** Who is asked; as of an approval. */
  readonly reviewers?: Pick<Approval.Request, "owner" | "fallbackOwner" | "allowedScopes" | "allowedUsers">
  readonly retry?: Task.Options<unknown, unknown, never, never, SandboxFailed, never>["retry"]
}

export type Options<A, I> = CommonOptions<A, I> & Work

/** What a reviewer answers with in `value`; without `accept`, the answer is about all of it. */
const Selection = Schema.Struct({
  accept: Schema.optionalWith(Review.Decision.fields.accept, { default: () => "all" })
})
const decodeSelection = Schema.decodeUnknown(Selection)

/** Of the diffs in a review, in characters; the rest is told by its numbers. */
const shownChars = 200_000

/** What a reviewer is shown. */
const summaryOf = (changeSet: Change.ChangeSet, target: string): SandboxReview => {
  let left = Math.min(shownChars, Bounds.approvalPayloadBytes / 4)
  return {
    changeSet: Change.digest(changeSet),
    baseRef: changeSet.baseRef,
    target,
    files: changeSet.changes.map((change) => {
      const diff = Change.toDiff(change)
      const isShown = diff.length <= left
      if (isShown) left -= diff.length
      return {
        path: change.path,
        operation: change.operation,
        from: change.from,
        content: change.content,
        ...Change.linesChanged(change),
        hunks: change.hunks.length,
        base: change.base?.sha256 ?? null,
        produced: change.produced?.sha256 ?? null,
        diff: isShown ? diff : null
      }
    })
  }
}

/** The policy among the options. */
const policyOf = <A, I>(options: Options<A, I>): SandboxPolicy.Input => {
  const {
    autoAcceptDiffs: _1,
    command: _2,
    env: _3,
    files: _4,
    id: _5,
    input: _6,
    label: _7,
    output: _8,
    retry: _9,
    reviewDiffs: _10,
    reviewers: _11,
    runtime: _12,
    secrets: _13,
    stdin: _14,
    workflow: _15,
    ...policy
  } = options
  return policy
}

/** Counts the seconds that it takes, however it ends; a second that has begun is one. */
const metered =
  (spend: Task.Context["spend"]) => <A, E, R>(execution: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(Clock.currentTimeMillis, (startedAtMs) =>
      Effect.ensuring(
        execution,
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          spend({ metric: "sandbox_seconds", unit: "seconds", quantity: Math.ceil((now - startedAtMs) / 1_000) }))
      ))

/** Who decided, as far as the approval says. */
const reviewer = (decidedBy: string): Actor => ({ userId: decidedBy, tokenId: null, role: "reviewer", scopes: [] })

/**
 * Executes a command, or a workflow, that nobody trusts on a copy of some files, and brings what it changed back after a review.
 *
 * Three durable steps: the command (at least once), the review (parked, however long), the application (all or nothing;
 * repeating it is doing it once). The review is an approval of the very change set, by its hash: approving accepts all of
 * it, or what `value.accept` says, whole, per file or per hunk; denying rejects it and fails with `ReviewRejected`.
 */
export const run = <A, I>(
  options: Options<A, I>
): Effect.Effect<A, SandboxFailed | ReviewRejected, WorkflowEngine.WorkflowInstance | Sandbox.Sandbox> =>
  Effect.gen(function*() {
    const sandbox = yield* Sandbox.Sandbox
    const iteration = yield* Step.CurrentIteration
    const { files, id } = options
    const executed = yield* Task.run({
      id,
      ...(options.label !== undefined && { label: options.label }),
      output: Sandbox.Executed,
      error: SandboxFailed,
      ...(options.retry !== undefined && { retry: options.retry }),
      execute: ({ attempt, record, runId, spend, tenant }) =>
        metered(spend)(sandbox.execute({
          runId,
          tenant,
          nodeId: id,
          iteration,
          attempt,
          runtime: options.runtime,
          command: options.command,
          workflow: typeof options.workflow === "object" ? options.workflow.name : options.workflow,
          input: options.input,
          stdin: options.stdin,
          policy: policyOf(options),
          env: options.env,
          secrets: options.secrets,
          files,
          record
        }))
    })
    const { sandboxId } = executed
    const refused = (reason: SandboxFailed["reason"], detail: string) =>
      new SandboxFailed({ sandboxId, reason, detail, versions: [] })
    const outputs = yield* Effect.mapError(
      Schema.decodeUnknown(options.output)(executed.outputs),
      (error) =>
        refused("OutputInvalid", ParseResult.ArrayFormatter.formatErrorSync(error)[0]?.message ?? error.message)
    )
    const { changeSet } = executed
    if (changeSet === null || files === undefined || options.reviewDiffs === false) return outputs
    const shown = yield* Task.run({
      id: `${id}:changes`,
      label: "Changes to review",
      output: SandboxReview,
      error: SandboxFailed,
      execute: ({ record, runId }) =>
        Effect.gen(function*() {
          const changes = yield* sandbox.changeSet(runId, changeSet)
          const summary = summaryOf(changes, files.from)
          const totalDiffLines = summary.files.reduce((sum, { added, removed }) => sum + added + removed, 0)
          yield* record(
            "SandboxDiffReviewRequested",
            { sandboxId, patchCount: changes.changes.length, totalDiffLines },
            []
          )
          return summary
        })
    })
    const decision = options.autoAcceptDiffs === true
      ? { accept: "all" as const, note: null, actor: reviewer("autoAcceptDiffs") }
      : yield* review(options, sandboxId, shown)
    yield* Task.run({
      id: `${id}:apply`,
      label: "Apply the accepted changes",
      output: Sandbox.Applied,
      error: SandboxFailed,
      execute: ({ record, runId, tenant }) =>
        sandbox.apply({
          runId,
          tenant,
          nodeId: id,
          iteration,
          target: files.from,
          decision: { changeSet, ...decision },
          record
        })
    })
    return outputs
  })

const review = <A, I>(options: Options<A, I>, sandboxId: string, payload: SandboxReview) =>
  Effect.gen(function*() {
    const { approved, decidedBy, note, value } = yield* Approval.ask({
      id: `${options.id}:review`,
      title: `Apply the changes of ${options.label ?? options.id}?`,
      payload,
      ...options.reviewers
    })
    if (!approved) {
      yield* Task.run({
        id: `${options.id}:rejected`,
        label: "Changes rejected",
        output: Schema.Void,
        execute: ({ record }) => record("SandboxDiffRejected", { sandboxId, reason: note ?? "", by: decidedBy }, [])
      })
      return yield* new ReviewRejected({ sandboxId, decidedBy, note })
    }
    const { accept } = value === undefined || value === null
      ? { accept: "all" as const }
      : yield* Effect.mapError(
        decodeSelection(value),
        (error) =>
          new SandboxFailed({
            sandboxId,
            reason: "Decision",
            detail: ParseResult.ArrayFormatter.formatErrorSync(error)[0]?.message ?? error.message,
            versions: []
          })
      )
    return { accept, note, actor: reviewer(decidedBy) }
  })
