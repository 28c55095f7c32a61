import { useAtom } from "@effect-atom/atom-react"
import { useMemo, useState } from "react"
import { type NodeStateRow } from "../../gateway/contract.ts"
import { useAction } from "../Action.ts"
import { duration } from "../Format.ts"
import { inReadingOrder } from "../NodeTree.ts"
import { nodeOutputAtom, nodesAtom, retryAtom, useLoaded } from "../State.ts"
import { Problem } from "./Problem.tsx"
import { Status } from "./Status.tsx"
import { Value } from "./Value.tsx"

const pageRows = 200

const deepest = 4

const Output = ({ node, runId }: { readonly runId: string; readonly node: NodeStateRow }) => {
  const { iteration, nodeId, updatedAtMs } = node
  const { error, value } = useLoaded(nodeOutputAtom({ runId, nodeId, iteration, updatedAtMs }))
  if (error !== undefined) return <Problem error={error} />
  if (value === undefined) return <p className="muted">Loading…</p>
  if (value.status !== "produced") return <p className="muted">No output.</p>
  return <Value name={`Output of ${nodeId}`} of={value.row} />
}

const Retry = ({ node, runId }: { readonly runId: string; readonly node: NodeStateRow }) => {
  const retry = useAction(useAtom(retryAtom(runId)))
  return (
    <>
      <div className="buttons">
        <button
          type="button"
          className="button small"
          disabled={retry.busy}
          onClick={() => {
            retry.run(node)
          }}
        >
          Retry this step
        </button>
      </div>
      <Problem error={retry.error} />
    </>
  )
}

const times = ({ finishedAtMs, startedAtMs }: NodeStateRow) =>
  startedAtMs === null || finishedAtMs === null ? "" : duration(finishedAtMs - startedAtMs)

const NodeItem = ({ depth, node, retriable, runId }: {
  readonly runId: string
  readonly node: NodeStateRow
  readonly depth: number
  readonly retriable: boolean
}) => {
  const [open, setOpen] = useState(false)
  const turn = node.iteration === 0 ? "" : ` #${node.iteration}`
  return (
    <details
      className="node"
      onToggle={(event) => {
        setOpen(event.currentTarget.open)
      }}
    >
      <summary>
        <span className={`name depth-${Math.min(depth, deepest)}`}>
          <strong>{(node.label ?? node.nodeId) + turn}</strong>
          <span className="muted">
            {node.kind === "task" ? null : node.kind}
            {node.lastAttempt > 1 ? ` attempt ${node.lastAttempt}` : null}
            {node.cached ? " cached" : null}
          </span>
        </span>
        <span className="took">{times(node)}</span>
        <Status of={node.state} />
      </summary>
      {open
        ? (
          <div className="body">
            {node.label === null ? null : <p className="muted mono break">{node.nodeId + turn}</p>}
            {node.error === null ? null : (
              <p className="notice error">
                <strong>{node.error.name}:</strong> {node.error.message}
              </p>
            )}
            <Output runId={runId} node={node} />
            {retriable && node.state === "failed" ? <Retry runId={runId} node={node} /> : null}
          </div>
        )
        : null}
    </details>
  )
}

/** The steps of a run as a tree; only so many are drawn until more are asked for. */
export const NodeList = ({ retriable, runId }: { readonly runId: string; readonly retriable: boolean }) => {
  const { error, value } = useLoaded(nodesAtom(runId))
  const [shown, setShown] = useState(pageRows)
  const placed = useMemo(() => inReadingOrder(value ?? []), [value])
  return (
    <section className="card" aria-labelledby="steps-heading">
      <div className="section-head">
        <h3 id="steps-heading">Steps</h3>
        {placed.length === 0 ? null : <span className="muted">{placed.length}</span>}
      </div>
      <Problem error={error} />
      {value?.length === 0 ? <p className="empty">No steps yet.</p> : null}
      <ul className="nodes" aria-labelledby="steps-heading">
        {placed.slice(0, shown).map(({ depth, node }) => (
          <li key={`${node.nodeId}#${node.iteration}`}>
            <NodeItem runId={runId} node={node} depth={depth} retriable={retriable} />
          </li>
        ))}
      </ul>
      {placed.length <= shown ? null : (
        <div className="toolbar foot">
          {shown} of {placed.length}
          <button
            type="button"
            className="button small"
            onClick={() => {
              setShown(shown + pageRows)
            }}
          >
            Show more
          </button>
        </div>
      )}
    </section>
  )
}
