import { useAtom, useAtomSet, useAtomValue } from "@effect-atom/atom-react"
import { useEffect, useRef, useState } from "react"
import { type RunDetail } from "../../gateway/contract.ts"
import { terminalStatuses } from "../../model/index.ts"
import { useAction } from "../Action.ts"
import { age, duration, moment } from "../Format.ts"
import { nowAtom } from "../Now.ts"
import { announcementAtom, approvalId, runApprovalsAtom, runAtom, steerAtom, useLoaded } from "../State.ts"
import { ApprovalCard } from "./ApprovalCard.tsx"
import { EventList } from "./EventList.tsx"
import { Link } from "./Link.tsx"
import { NodeList } from "./NodeList.tsx"
import { Problem } from "./Problem.tsx"
import { Status, statusWord } from "./Status.tsx"
import { Value } from "./Value.tsx"

const blockedOn = ({ runState: { blocked } }: RunDetail): string | undefined => {
  switch (blocked?.kind) {
    case undefined:
      return undefined
    case "approval":
      return `Waits for the approval “${blocked.nodeId}” since ${moment(Date.parse(blocked.requestedAt))}.`
    case "event":
      return `Waits for the event “${blocked.nodeId}”.`
    case "timer":
      return `Waits for the timer “${blocked.nodeId}” until ${moment(Date.parse(blocked.wakeAt))}.`
  }
}

const holds = {
  "quarantined": "Quarantined",
  "diverged": "The code no longer fits what was recorded",
  "workflow-missing": "The workflow is not loaded"
}

const Steering = ({ run }: { readonly run: RunDetail }) => {
  const steer = useAction(useAtom(steerAtom(run.runId)))
  const [cancelling, setCancelling] = useState(false)
  const over = terminalStatuses.has(run.status)
  const stopping = run.cancelRequestedAtMs !== null
  const pausing = run.pauseRequestedAtMs !== null && run.status === "running"
  if (over) return <Problem error={steer.error} />
  const button = (label: string, onClick: () => void, look = "", disabled = false) => (
    <button type="button" className={`button small ${look}`} disabled={steer.busy || disabled} onClick={onClick}>
      {label}
    </button>
  )
  return (
    <div className="stack">
      <div className="buttons" role="group" aria-label="Run">
        {run.status === "running"
          ? button(
            pausing ? "Pausing…" : "Pause",
            () => {
              steer.run("pause")
            },
            "",
            pausing || stopping
          )
          : null}
        {run.status === "paused" || run.hold !== null
          ? button(
            "Resume",
            () => {
              steer.run("resume")
            },
            "primary",
            stopping
          )
          : null}
        {cancelling && !stopping
          ? (
            <>
              {button("Yes, cancel this run", () => {
                setCancelling(false)
                steer.run("cancel")
              }, "danger")}
              {button("Keep it", () => {
                setCancelling(false)
              })}
            </>
          )
          : button(
            stopping ? "Cancelling…" : "Cancel run",
            () => {
              setCancelling(true)
            },
            "danger",
            stopping
          )}
      </div>
      <Problem error={steer.error} />
    </div>
  )
}

const Took = ({ run }: { readonly run: RunDetail }) => {
  const now = useAtomValue(nowAtom)
  if (run.startedAtMs === null) return "not started"
  return duration((run.finishedAtMs ?? now) - run.startedAtMs)
}

const Age = ({ since }: { readonly since: number }) => {
  const now = useAtomValue(nowAtom)
  return <time dateTime={new Date(since).toISOString()} title={moment(since)}>{age(since, now)}</time>
}

const Head = ({ run }: { readonly run: RunDetail }) => {
  const blocked = blockedOn(run)
  const steps = Object.entries(run.summary).map(([state, count]) => `${count} ${statusWord(state)}`).join(", ")
  return (
    <section className="card" aria-labelledby="run-heading">
      <div className="section stack">
        <div className="title">
          <h2 id="run-heading" className="break">{run.workflowKey}</h2>
          <Status of={run.status} />
        </div>
        {blocked === undefined ? null : <p>{blocked}</p>}
        {run.hold === null ? null : (
          <p className="notice warning">
            <strong>{holds[run.hold.kind]}:</strong> {run.hold.reason}
          </p>
        )}
        {run.error === null ? null : (
          <p className="notice error">
            <strong>{run.error.name}:</strong> {run.error.message}
          </p>
        )}
        <Steering run={run} />
      </div>
      <div className="section">
        <dl className="facts">
          <div className="wide">
            <dt>Run</dt>
            <dd className="mono">{run.runId}</dd>
          </div>
          <div>
            <dt>Launched</dt>
            <dd>
              <Age since={run.createdAtMs} />
            </dd>
          </div>
          <div>
            <dt>{run.finishedAtMs === null ? "So far" : "Took"}</dt>
            <dd>
              <Took run={run} />
            </dd>
          </div>
          <div>
            <dt>Steps</dt>
            <dd>{steps === "" ? "none yet" : steps}</dd>
          </div>
          {run.parentRunId === null ? null : (
            <div>
              <dt>Started by run</dt>
              <dd>
                <Link to={{ page: "runs", runId: run.parentRunId }}>{run.parentRunId}</Link>
              </dd>
            </div>
          )}
        </dl>
      </div>
    </section>
  )
}

const ValueCard = ({ name, value }: { readonly name: string; readonly value: unknown }) => (
  <section className="card" aria-label={name}>
    <div className="section-head">
      <h3>{name}</h3>
    </div>
    <div className="section stack">
      <Value name={name} of={value} />
    </div>
  </section>
)

const useStatusAnnouncement = (status: string | undefined) => {
  const announce = useAtomSet(announcementAtom)
  const before = useRef(status)
  useEffect(() => {
    if (before.current !== undefined && status !== undefined && before.current !== status) {
      announce(`The run is now: ${statusWord(status)}.`)
    }
    before.current = status
  }, [announce, status])
}

/** One run: how it stands, what it waits for, its steps and its events. */
export const RunView = ({ runId }: { readonly runId: string }) => {
  const { error, value: run } = useLoaded(runAtom(runId))
  const { value: approvals = [] } = useLoaded(runApprovalsAtom(runId))
  useStatusAnnouncement(run?.status)
  return (
    <>
      <Link className="back" to={{ page: "runs" }}>← All runs</Link>
      <Problem error={error} />
      {run === undefined ? null : (
        <>
          <Head run={run} />
          {approvals.map((approval) => <ApprovalCard key={approvalId(approval)} approval={approval} />)}
          {run.status === "finished" ? <ValueCard name="Result" value={run.output} /> : null}
          <NodeList runId={runId} retriable={run.status === "failed"} />
          <EventList runId={runId} />
          <ValueCard name="Input" value={run.input} />
        </>
      )}
    </>
  )
}
