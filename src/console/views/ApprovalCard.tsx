import { useAtom, useAtomValue } from "@effect-atom/atom-react"
import { useId, useMemo, useState } from "react"
import { type ApprovalRow } from "../../gateway/contract.ts"
import { Bounds } from "../../model/index.ts"
import { useAction } from "../Action.ts"
import { age, moment } from "../Format.ts"
import { nowAtom } from "../Now.ts"
import { answerOf, chooseAll, chooseNone, extentOf, reviewOf } from "../Review.ts"
import { approvalId, decideAtom } from "../State.ts"
import { Problem } from "./Problem.tsx"
import { ReviewFiles } from "./ReviewFiles.tsx"
import { Value } from "./Value.tsx"

/** What waits for a person's decision, in full, and the decision. */
export const ApprovalCard = ({ approval }: { readonly approval: ApprovalRow }) => {
  const decide = useAction(useAtom(decideAtom(approvalId(approval))))
  const [note, setNote] = useState("")
  const now = useAtomValue(nowAtom)
  const id = useId()
  const review = useMemo(() => reviewOf(approval.payload), [approval.payload])
  const [choice, choose] = useState(() => review === undefined ? chooseNone : chooseAll(review))
  const nothing = review?.files.every((file) => extentOf(choice, file) === "none") ?? false
  const submit = (approved: boolean) => () => {
    const value = approved && review !== undefined ? answerOf(review, choice) : undefined
    decide.run({ approval, approved, note, value })
  }
  return (
    <section className="card approval" aria-labelledby={`${id}-title`}>
      <div className="section stack">
        <div className="title">
          <h2 id={`${id}-title`}>{approval.requestTitle}</h2>
          <span className="status tone-amber">needs approval</span>
        </div>
        {approval.requestSummary === null ? null : <p>{approval.requestSummary}</p>}
        <dl className="facts">
          <div>
            <dt>Owner</dt>
            <dd>{approval.owner ?? "anyone who may approve"}</dd>
          </div>
          {approval.fallbackOwner === null ? null : (
            <div>
              <dt>Fallback owner</dt>
              <dd>{approval.fallbackOwner}</dd>
            </div>
          )}
          <div>
            <dt>Requested</dt>
            <dd title={moment(approval.requestedAtMs)}>{age(approval.requestedAtMs, now)}</dd>
          </div>
          <div>
            <dt>Step</dt>
            <dd className="mono">
              {approval.nodeId}
              {approval.iteration === 0 ? "" : ` #${approval.iteration}`}
            </dd>
          </div>
        </dl>
      </div>
      <div className="section stack">
        <h3>What will be approved</h3>
        {review === undefined
          ? <Value name="What will be approved" of={approval.payload} tall />
          : <ReviewFiles review={review} choice={choice} choose={choose} />}
        <p className="muted break">
          SHA-256 <span className="mono">{approval.payloadSha256}</span>: your decision holds for exactly this content.
        </p>
      </div>
      <div className="section form">
        <div className="field">
          <label htmlFor={`${id}-note`}>
            Note <span className="optional">(optional, kept with the decision)</span>
          </label>
          <textarea
            id={`${id}-note`}
            rows={2}
            maxLength={Bounds.noteChars}
            value={note}
            onChange={(event) => {
              setNote(event.target.value)
            }}
          />
        </div>
        <Problem error={decide.error} />
        <div className="buttons">
          <button type="button" className="button primary" disabled={decide.busy || nothing} onClick={submit(true)}>
            Approve
          </button>
          <button type="button" className="button danger" disabled={decide.busy} onClick={submit(false)}>
            Deny
          </button>
        </div>
      </div>
    </section>
  )
}
