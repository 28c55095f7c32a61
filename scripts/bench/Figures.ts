/** The value below which `share` of the values lie (nearest rank). */
export const percentile = (values: ReadonlyArray<number>, share: number): number => {
  if (values.length === 0) throw new Error("no values")
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))]!
}

export const median = (values: ReadonlyArray<number>): number =>
  values.length % 2 === 1 ? percentile(values, 0.5) : (percentile(values, 0.5) + nextAbove(values)) / 2

const nextAbove = (values: ReadonlyArray<number>): number => [...values].sort((a, b) => a - b)[values.length / 2]!

/** Three significant digits, and every digit of whole numbers above them. */
export const rounded = (value: number): number =>
  Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3))

/** Times `work` and answers how many of `count` were done in a second. */
export const perSecond = async (count: number, work: () => Promise<unknown>): Promise<number> => {
  const started = performance.now()
  await work()
  return count / (performance.now() - started) * 1_000
}
