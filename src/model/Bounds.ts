/** Every published limit of the product in one place; sizes are bytes unless a name says otherwise. */
export const Bounds = {
  /** A run's input, encoded as JSON. */
  runInputBytes: 1_048_576,
  /** A task's output or a workflow's result, encoded as JSON. */
  outputBytes: 104_857_600,
  /** What an approver is shown, encoded as JSON. */
  approvalPayloadBytes: 1_048_576,
  /** Characters of a stored failure message; longer ones are cut. */
  failureMessageChars: 4_096,
  /** Characters of a decision's note. */
  noteChars: 16_384,
  /** Rows that one page of a listing may hold. */
  pageRows: 1_000,
  /** Units waiting for the group-commit writer before callers wait to hand one over. */
  writeQueueUnits: 16_384,
  /** Events waiting for one live subscriber; beyond it the subscriber re-reads from the journal. */
  subscriberEvents: 1_000
} as const
