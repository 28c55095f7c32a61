import { useLayoutEffect, useRef, useState } from "react"
import { type RunEventRow } from "../Client.ts"
import { eventDetail, eventTitle } from "../EventText.ts"
import { clockTime, moment } from "../Format.ts"
import { eventsPageAtom, useFeed, useLoaded } from "../State.ts"
import { Problem } from "./Problem.tsx"

const Rows = ({ events, following }: {
  readonly events: ReadonlyArray<RunEventRow>
  /** Keep the newest in view, unless the reader has scrolled away from it. */
  readonly following: boolean
}) => {
  const list = useRef<HTMLOListElement>(null)
  const atEnd = useRef(true)
  useLayoutEffect(() => {
    const element = list.current
    if (following && atEnd.current && element !== null) element.scrollTop = element.scrollHeight
  }, [events, following])
  return (
    <ol
      className="events"
      ref={list}
      tabIndex={0}
      aria-labelledby="events-heading"
      onScroll={({ currentTarget: { clientHeight, scrollHeight, scrollTop } }) => {
        atEnd.current = scrollHeight - scrollTop - clientHeight < 40
      }}
    >
      {events.map((event) => (
        <li className="event" key={event.seq}>
          <span className="seq">{event.seq}</span>
          <span className="what">{eventTitle(event)}</span>
          <span className="what detail-text muted">{eventDetail(event)}</span>
          <time className="time" dateTime={new Date(event.timestampMs).toISOString()} title={moment(event.timestampMs)}>
            {clockTime(event.timestampMs)}
          </time>
        </li>
      ))}
    </ol>
  )
}

const Latest = ({ onEarlier, runId }: { readonly runId: string; readonly onEarlier: (beforeSeq: number) => void }) => {
  const { events, interrupted } = useFeed(runId)
  return (
    <>
      <Problem error={interrupted} />
      <EarlierButton events={events} onEarlier={onEarlier} />
      {events.length === 0 ? <p className="empty">No events yet.</p> : <Rows events={events} following />}
    </>
  )
}

const Earlier = ({ beforeSeq, onEarlier, runId }: {
  readonly runId: string
  readonly beforeSeq: number
  readonly onEarlier: (beforeSeq: number) => void
}) => {
  const { error, value = [] } = useLoaded(eventsPageAtom(runId, beforeSeq))
  return (
    <>
      <Problem error={error} />
      <EarlierButton events={value} onEarlier={onEarlier} />
      <Rows events={value} following={false} />
    </>
  )
}

const EarlierButton = ({ events, onEarlier }: {
  readonly events: ReadonlyArray<RunEventRow>
  readonly onEarlier: (beforeSeq: number) => void
}) => {
  const first = events[0]
  if (first === undefined || first.seq === 1) return null
  return (
    <div className="toolbar">
      <button
        type="button"
        className="button small"
        onClick={() => {
          onEarlier(first.seq)
        }}
      >
        Earlier events
      </button>
    </div>
  )
}

/** What happened in a run: the latest events as they arrive, or a page of earlier ones. */
export const EventList = ({ runId }: { readonly runId: string }) => {
  const [beforeSeq, setBeforeSeq] = useState<number>()
  return (
    <section className="card" aria-labelledby="events-heading">
      <div className="section-head">
        <h3 id="events-heading">Events</h3>
        {beforeSeq === undefined ? null : (
          <button
            type="button"
            className="button small"
            onClick={() => {
              setBeforeSeq(undefined)
            }}
          >
            Back to the latest
          </button>
        )}
      </div>
      {beforeSeq === undefined
        ? <Latest runId={runId} onEarlier={setBeforeSeq} />
        : <Earlier runId={runId} beforeSeq={beforeSeq} onEarlier={setBeforeSeq} />}
    </section>
  )
}
