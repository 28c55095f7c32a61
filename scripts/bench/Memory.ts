import fs from "node:fs"

const kilobytesOf = (field: string): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(fs.readFileSync("/proc/self/status", "utf8"))?.[1])

/**
 * Megabytes that `work` needs at its peak beyond what was there before: resident memory, as the kernel keeps its highest
 * mark (Linux). A process that may have a large heap lets garbage lie, and that counts: see `Measurement.heapMegabytes`.
 */
export const peakOf = async <A>(work: () => Promise<A>): Promise<readonly [A, number]> => {
  globalThis.gc?.()
  // proc(5): 5 sets the highest mark back to what is resident now.
  fs.writeFileSync("/proc/self/clear_refs", "5")
  const before = kilobytesOf("VmRSS")
  const answer = await work()
  return [answer, Math.round((kilobytesOf("VmHWM") - before) / 1_024)]
}
