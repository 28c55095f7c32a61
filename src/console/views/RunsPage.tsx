import { Panes } from "./Panes.tsx"
import { RunList } from "./RunList.tsx"
import { RunView } from "./RunView.tsx"

export const RunsPage = ({ runId }: { readonly runId: string | undefined }) => (
  <Panes list={<RunList selected={runId} />} selected={runId}>
    {runId === undefined
      ? <p className="card empty">Select a run to see its steps, its events and what it waits for.</p>
      : <RunView key={runId} runId={runId} />}
  </Panes>
)
