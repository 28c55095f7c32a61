import { Atom, Result, useAtomValue } from "@effect-atom/atom-react"
import { Data, Effect, Layer, Stream } from "effect"
import {
  type ApprovalRow,
  CancelRun,
  GetNodeOutput,
  GetRun,
  Health,
  LaunchRun,
  ListApprovals,
  ListEvents,
  ListNodeStates,
  ListRuns,
  ListWorkflows,
  PauseRun,
  ResumeRun,
  RetryTask,
  SubmitApproval
} from "../gateway/contract.ts"
import { type RunStatus } from "../model/index.ts"
import * as Client from "./Client.ts"
import { type ClientError } from "./ClientError.ts"
import * as Live from "./Live.ts"
import { routeAtom } from "./Route.ts"
import * as RunFeed from "./RunFeed.ts"
import { sessionAtom } from "./Session.ts"

/** The client and its live connection, for as long as the operator is signed in. */
const runtime = Atom.runtime((get) => {
  const session = get(sessionAtom)
  if (!session.signedIn) return Layer.effectContext(Effect.never)
  const ended = (notice: string) =>
    Effect.sync(() => {
      get.set(sessionAtom, { signedIn: false, notice })
    })
  return Layer.provideMerge(Live.layer, Client.layer(session.token, ended))
})

/** Spoken by screen readers when it changes; seen by nobody. */
export const announcementAtom = Atom.keepAlive(Atom.make(""))

/** Keeps the token if the gateway knows it, whatever it allows. */
export const signInAtom = Atom.fn((token: string, get) =>
  Client.make(token).call(Health, {}).pipe(
    Effect.catchIf((error) => error._tag === "Refused" && error.code === "FORBIDDEN", () => Effect.void),
    Effect.tap(() => {
      get.set(sessionAtom, { signedIn: true, token })
    })
  )
)

const query = <A>(
  ask: (client: typeof Client.Client.Service) => Effect.Effect<A, ClientError>,
  concerns?: (change: Live.Change) => boolean
) =>
  Stream.unwrap(Effect.map(
    Effect.all([Client.Client, Live.Live]),
    ([client, live]) => live.query(ask(client), concerns)
  ))

const nothing: Live.Loaded<never> = { value: undefined, error: undefined }

/** What a query has found so far. */
export const useLoaded = <A>(atom: Atom.Atom<Result.Result<Live.Loaded<A>>>): Live.Loaded<A> =>
  Result.getOrElse(useAtomValue(atom), () => nothing)

const connectionAtom = runtime.atom(Stream.unwrap(Effect.map(Live.Live, (live) => live.connection)))

export const useConnection = (): Live.Connection =>
  Result.getOrElse(useAtomValue(connectionAtom), () => ({ state: "connecting" }))

export const workflowsAtom = runtime.atom(query((client) => client.call(ListWorkflows, {}), () => false))

interface RunsFilter {
  readonly status: RunStatus | undefined
  readonly page: number
}

export const runsFilterAtom = Atom.keepAlive(Atom.make<RunsFilter>({ status: undefined, page: 0 }))

const runsPage = 50

/** Work inside a step: changes neither a list of runs nor what waits for approval. */
const isProgress = ({ event }: Live.Change) => event !== undefined && /^(task|agent|token)\./.test(event)

/** One page of the runs, newest first. */
export const runsAtom = runtime.atom((get) => {
  const { page, status } = get(runsFilterAtom)
  const filter = { limit: runsPage + 1, offset: page * runsPage, ...(status === undefined ? {} : { status }) }
  return query(
    (client) =>
      Effect.map(client.call(ListRuns, { filter }), (rows) => ({
        runs: rows.slice(0, runsPage),
        more: rows.length > runsPage
      })),
    (change) => !isProgress(change)
  )
})

export const runAtom = Atom.family((runId: string) =>
  runtime.atom(query(
    (client) => client.call(GetRun, { runId }),
    (change) => change.runId === runId && !isProgress(change)
  ))
)

export const nodesAtom = Atom.family((runId: string) =>
  runtime.atom(query(
    (client) => client.call(ListNodeStates, { runId }),
    (change) => change.runId === runId && !isProgress(change)
  ))
)

/** Names a step as it stands now: its output is asked for again when one of these changes. */
interface NodeVersion {
  readonly runId: string
  readonly nodeId: string
  readonly iteration: number
  readonly updatedAtMs: number
}

const nodeOutput = Atom.family(({ iteration, nodeId, runId }: NodeVersion) =>
  runtime.atom(query((client) => client.call(GetNodeOutput, { runId, nodeId, iteration }), () => false))
)

export const nodeOutputAtom = (node: NodeVersion) => nodeOutput(Data.struct(node))

/** More waiting approvals than this are counted, not listed. */
export const approvalsListed = 50

const decides = ({ event }: Live.Change) =>
  event === undefined || /^(approval|run)\.|^node\.(waiting_approval|cancelled|failed)$/.test(event)

/** The approvals that have waited longest. */
export const approvalsAtom = runtime.atom(
  query((client) => client.call(ListApprovals, { limit: approvalsListed + 1 }), decides)
)

export const runApprovalsAtom = Atom.family((runId: string) =>
  runtime.atom(query(
    (client) => client.call(ListApprovals, { runId, limit: approvalsListed }),
    (change) => change.runId === runId && decides(change)
  ))
)

const feed = Atom.family((runId: string) => runtime.atom(RunFeed.follow(runId)))

export const useFeed = (runId: string): RunFeed.Feed =>
  Result.getOrElse(useAtomValue(feed(runId)), () => ({ events: [], interrupted: undefined }))

const eventsPage = Atom.family(({ beforeSeq, runId }: { readonly runId: string; readonly beforeSeq: number }) => {
  const afterSeq = Math.max(0, beforeSeq - 1 - RunFeed.feedPage)
  return runtime.atom(query(
    (client) => client.call(ListEvents, { runId, afterSeq, limit: beforeSeq - 1 - afterSeq }),
    () => false
  ))
})

/** The page of a run's events that ends before `beforeSeq`. */
export const eventsPageAtom = (runId: string, beforeSeq: number) => eventsPage(Data.struct({ runId, beforeSeq }))

interface Launch {
  readonly workflow: string
  readonly input: Readonly<Record<string, unknown>>
  readonly idempotencyKey: string
}

export const launchAtom = runtime.fn((launch: Launch, get) =>
  Effect.gen(function*() {
    const client = yield* Client.Client
    const { runId } = yield* client.call(LaunchRun, {
      workflow: launch.workflow,
      input: launch.input,
      options: { idempotencyKey: launch.idempotencyKey, startedBy: { harness: "console" } }
    })
    yield* (yield* Live.Live).changed(runId)
    get.set(announcementAtom, `Launched ${launch.workflow} as ${runId}.`)
    get.set(routeAtom, { page: "runs", runId })
  })
)

type Steering = "cancel" | "pause" | "resume"

const steered: Readonly<Record<Steering, string>> = {
  cancel: "Cancellation requested.",
  pause: "Pause requested: steps under way finish first.",
  resume: "Resume requested."
}

export const steerAtom = Atom.family((runId: string) =>
  runtime.fn((steering: Steering, get) =>
    Effect.gen(function*() {
      const client = yield* Client.Client
      const live = yield* Live.Live
      const ask: Effect.Effect<unknown, ClientError> = {
        cancel: client.call(CancelRun, { runId }),
        pause: client.call(PauseRun, { runId }),
        resume: client.call(ResumeRun, { runId })
      }[steering]
      yield* Effect.ensuring(ask, live.changed(runId))
      get.set(announcementAtom, steered[steering])
    })
  )
)

interface NodeKey {
  readonly nodeId: string
  readonly iteration: number
}

export const retryAtom = Atom.family((runId: string) =>
  runtime.fn(({ iteration, nodeId }: NodeKey, get) =>
    Effect.gen(function*() {
      const client = yield* Client.Client
      const live = yield* Live.Live
      yield* Effect.ensuring(client.call(RetryTask, { runId, nodeId, iteration }), live.changed(runId))
      get.set(announcementAtom, `Retry of ${nodeId} requested.`)
    })
  )
)

interface Decision {
  readonly approval: ApprovalRow
  readonly approved: boolean
  readonly note: string
  /** What else the workflow is told; undefined: nothing. */
  readonly value?: unknown
}

/** Names one approval among all. */
export const approvalId = ({ iteration, nodeId, runId }: NodeKey & { readonly runId: string }) =>
  `${runId}/${nodeId}/${iteration}`

export const decideAtom = Atom.family((_approvalId: string) =>
  runtime.fn(({ approval, approved, note, value }: Decision, get) =>
    Effect.gen(function*() {
      const client = yield* Client.Client
      const live = yield* Live.Live
      const { iteration, nodeId, payloadSha256, requestTitle, runId } = approval
      const decision = {
        runId,
        nodeId,
        iteration,
        approved,
        payloadSha256,
        ...(value === undefined ? {} : { decision: { value } }),
        ...(note.trim() === "" ? {} : { note: note.trim() })
      }
      yield* Effect.ensuring(client.call(SubmitApproval, decision), live.changed(runId))
      get.set(announcementAtom, `${approved ? "Approved" : "Denied"}: ${requestTitle}`)
    })
  )
)
