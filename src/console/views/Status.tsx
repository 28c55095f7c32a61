const tones: Readonly<Record<string, string>> = {
  "running": "blue",
  "in-progress": "blue",
  "finished": "green",
  "failed": "red",
  "waiting-approval": "amber",
  "waiting-event": "amber",
  "waiting-timer": "amber",
  "waiting-quota": "amber",
  "paused": "amber"
}

const words: Readonly<Record<string, string>> = {
  "in-progress": "running",
  "waiting-approval": "needs approval",
  "waiting-event": "waiting for event",
  "waiting-timer": "waiting for timer",
  "waiting-quota": "waiting for quota",
  "continued": "continued as new"
}

export const statusWord = (status: string): string => words[status] ?? status

/** The state of a run or node, in words; the colour only repeats them. */
export const Status = ({ of }: { readonly of: string }) => (
  <span className={`status tone-${tones[of] ?? "gray"}`}>{statusWord(of)}</span>
)
