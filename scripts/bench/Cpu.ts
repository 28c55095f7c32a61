import fs from "node:fs"

// Time that a processor worked, beside time that passed: on a machine that others use too, only the first repeats itself.

const ticksPerSecond = 100

/** Milliseconds of processor time that a process of this machine has had; null where /proc does not tell. */
export const cpuMillisOf = (pid: number): number | null => {
  const stat = `/proc/${pid}/stat`
  if (!fs.existsSync(stat)) return null
  const text = fs.readFileSync(stat, "utf8")
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ")
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond * 1_000
}

/** Microseconds of processor time of this process for each of `count`. */
export const cpuMicrosEach = async (count: number, work: () => Promise<unknown>): Promise<number> => {
  const before = process.cpuUsage()
  await work()
  const { system, user } = process.cpuUsage(before)
  return Math.round((user + system) / count)
}
