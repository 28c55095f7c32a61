import { useAtom, useAtomValue } from "@effect-atom/atom-react"
import { RunStatus } from "../../model/index.ts"
import { age } from "../Format.ts"
import { nowAtom } from "../Now.ts"
import { runsAtom, runsFilterAtom, useLoaded } from "../State.ts"
import { Link } from "./Link.tsx"
import { Problem } from "./Problem.tsx"
import { Status, statusWord } from "./Status.tsx"

const statusOf = (value: string) => RunStatus.literals.find((status) => status === value)

/** The runs, newest first, a page at a time. */
export const RunList = ({ selected }: { readonly selected: string | undefined }) => {
  const [filter, setFilter] = useAtom(runsFilterAtom)
  const { error, value } = useLoaded(runsAtom)
  const now = useAtomValue(nowAtom)
  const { page } = filter
  return (
    <>
      <div className="toolbar">
        <h2 id="runs-heading">Runs</h2>
        <select
          aria-label="Status"
          value={filter.status ?? ""}
          onChange={(event) => {
            setFilter({ status: statusOf(event.target.value), page: 0 })
          }}
        >
          <option value="">All statuses</option>
          {RunStatus.literals.map((status) => <option key={status} value={status}>{statusWord(status)}</option>)}
        </select>
        <Link to={{ page: "launch" }} className="button primary small">Launch</Link>
      </div>
      <Problem error={error} />
      {value?.runs.length === 0 ? <p className="empty">No runs yet.</p> : null}
      <ul className="rows" aria-labelledby="runs-heading">
        {value?.runs.map((run) => (
          <li key={run.runId}>
            <Link
              className="row"
              to={{ page: "runs", runId: run.runId }}
              aria-current={run.runId === selected ? "true" : undefined}
            >
              <span className="line">
                <span className="name">{run.workflowKey}</span>
                <Status of={run.status} />
              </span>
              <span className="line">
                <span className="sub mono">{run.runId}</span>
                <span className="sub age">{age(run.createdAtMs, now)}</span>
              </span>
            </Link>
          </li>
        ))}
      </ul>
      {page === 0 && value?.more !== true ? null : (
        <div className="toolbar foot">
          <button
            type="button"
            className="button small"
            disabled={page === 0}
            onClick={() => {
              setFilter({ ...filter, page: page - 1 })
            }}
          >
            Newer
          </button>
          Page {page + 1}
          <button
            type="button"
            className="button small"
            disabled={value?.more !== true}
            onClick={() => {
              setFilter({ ...filter, page: page + 1 })
            }}
          >
            Older
          </button>
        </div>
      )}
    </>
  )
}
