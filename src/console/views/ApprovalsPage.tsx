import { useAtomValue } from "@effect-atom/atom-react"
import { age } from "../Format.ts"
import { nowAtom } from "../Now.ts"
import { type ApprovalKey } from "../Route.ts"
import { approvalId, approvalsAtom, approvalsListed, runApprovalsAtom, useLoaded } from "../State.ts"
import { ApprovalCard } from "./ApprovalCard.tsx"
import { Link } from "./Link.tsx"
import { Panes } from "./Panes.tsx"
import { Problem } from "./Problem.tsx"

const ApprovalList = ({ selected }: { readonly selected: string | undefined }) => {
  const { error, value } = useLoaded(approvalsAtom)
  const now = useAtomValue(nowAtom)
  return (
    <>
      <div className="toolbar">
        <h2 id="approvals-heading">Waiting for approval</h2>
      </div>
      <Problem error={error} />
      {value?.length === 0 ? <p className="empty">Nothing waits for a decision.</p> : null}
      <ul className="rows" aria-labelledby="approvals-heading">
        {value?.slice(0, approvalsListed).map((approval) => (
          <li key={approvalId(approval)}>
            <Link
              className="row"
              to={{ page: "approvals", approval }}
              aria-current={approvalId(approval) === selected ? "true" : undefined}
            >
              <span className="line">
                <span className="name">{approval.requestTitle}</span>
                <span className="sub age">{age(approval.requestedAtMs, now)}</span>
              </span>
              <span className="sub">
                {approval.workflowKey}
                {approval.owner === null ? "" : ` · for ${approval.owner}`}
              </span>
              <span className="sub mono">{approval.runId}</span>
            </Link>
          </li>
        ))}
      </ul>
      {value !== undefined && value.length > approvalsListed
        ? <p className="toolbar foot">The {approvalsListed} that have waited longest.</p>
        : null}
    </>
  )
}

const Selected = ({ approval }: { readonly approval: ApprovalKey }) => {
  const { error, value } = useLoaded(runApprovalsAtom(approval.runId))
  const found = value?.find((row) => approvalId(row) === approvalId(approval))
  return (
    <>
      <Link className="back" to={{ page: "approvals" }}>← All approvals</Link>
      <Problem error={error} />
      {found !== undefined ? <ApprovalCard approval={found} /> : null}
      {value !== undefined && found === undefined
        ? <p className="card empty">This approval no longer waits: it was decided, or its run has ended.</p>
        : null}
      <p>
        <Link to={{ page: "runs", runId: approval.runId }}>Go to its run</Link>
      </p>
    </>
  )
}

export const ApprovalsPage = ({ selected }: { readonly selected: ApprovalKey | undefined }) => {
  const id = selected === undefined ? undefined : approvalId(selected)
  return (
    <Panes list={<ApprovalList selected={id} />} selected={id}>
      {selected === undefined
        ? <p className="card empty">Select an approval to see what it is about.</p>
        : <Selected key={id} approval={selected} />}
    </Panes>
  )
}
