const megabytes = (bytes: number) => Math.round(bytes / 1_048_576)

/** What `work` needs at its peak beyond what was there before: resident memory, looked at ten times a second. */
export const peakOf = async <A>(work: () => Promise<A>): Promise<readonly [A, number]> => {
  globalThis.gc?.()
  const before = process.memoryUsage().rss
  let peak = before
  const timer = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss)
  }, 100)
  try {
    return [await work(), megabytes(peak - before)]
  } finally {
    clearInterval(timer)
  }
}
