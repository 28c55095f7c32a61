import { useAtomSet } from "@effect-atom/atom-react"
import { type WorkflowRow } from "../../gateway/contract.ts"
import { routeAtom } from "../Route.ts"
import { useLoaded, workflowsAtom } from "../State.ts"
import { LaunchForm } from "./LaunchForm.tsx"
import { Link } from "./Link.tsx"
import { Panes } from "./Panes.tsx"
import { Problem } from "./Problem.tsx"

const nameOf = ({ key, readableName }: WorkflowRow) => readableName ?? key

const WorkflowList = ({ selected, workflows }: {
  readonly workflows: ReadonlyArray<WorkflowRow> | undefined
  readonly selected: string | undefined
}) => (
  <>
    <div className="toolbar">
      <h2 id="workflows-heading">Workflows</h2>
    </div>
    {workflows?.length === 0 ? <p className="empty">No workflow is loaded.</p> : null}
    <ul className="rows" aria-labelledby="workflows-heading">
      {workflows?.map((workflow) => (
        <li key={workflow.key}>
          <Link
            className="row"
            to={{ page: "launch", workflow: workflow.key }}
            aria-current={workflow.key === selected ? "true" : undefined}
          >
            <span className="name">{nameOf(workflow)}</span>
            {workflow.readableName === undefined ? null : <span className="sub mono">{workflow.key}</span>}
            {workflow.description === undefined ? null : <span className="sub wrap">{workflow.description}</span>}
          </Link>
        </li>
      ))}
    </ul>
  </>
)

/** Choose a workflow, say its input, launch it. */
export const LaunchPage = ({ workflow: key }: { readonly workflow: string | undefined }) => {
  const navigate = useAtomSet(routeAtom)
  const { error, value: workflows } = useLoaded(workflowsAtom)
  const workflow = workflows?.find((candidate) => candidate.key === key)
  return (
    <Panes list={<WorkflowList workflows={workflows} selected={key} />} selected={key}>
      <Link className="back" to={{ page: "launch" }}>← All workflows</Link>
      <Problem error={error} />
      <section className="card" aria-labelledby="launch-heading">
        <div className="section form">
          <h2 id="launch-heading">Launch a workflow</h2>
          <div className="field">
            <label htmlFor="workflow">Workflow</label>
            <select
              id="workflow"
              value={workflow?.key ?? ""}
              onChange={(event) => {
                navigate({ page: "launch", workflow: event.target.value })
              }}
            >
              <option value="" disabled>Choose…</option>
              {workflows?.map((candidate) => (
                <option key={candidate.key} value={candidate.key}>{nameOf(candidate)}</option>
              ))}
            </select>
            {workflow?.description === undefined ? null : <p className="help">{workflow.description}</p>}
          </div>
          {workflows !== undefined && key !== undefined && workflow === undefined
            ? <p className="notice warning" role="alert">No workflow is named “{key}”.</p>
            : null}
          {workflow === undefined ? null : <LaunchForm key={workflow.key} workflow={workflow} />}
        </div>
      </section>
    </Panes>
  )
}
