const units: ReadonlyArray<readonly [label: string, ms: number]> = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000]
]

/** A length of time in its two largest units: `850 ms`, `12 s`, `3 min 20 s`. */
export const duration = (ms: number): string => {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`
  const index = units.findIndex(([, size]) => ms >= size)
  const [label, size] = units[index]!
  const whole = Math.floor(ms / size)
  const next = units[index + 1]
  const rest = next === undefined ? 0 : Math.floor((ms - whole * size) / next[1])
  return rest === 0 || next === undefined ? `${whole} ${label}` : `${whole} ${label} ${rest} ${next[0]}`
}

/** How long ago, in the largest unit. */
export const age = (sinceMs: number, nowMs: number): string => {
  const unit = units.find(([, size]) => nowMs - sinceMs >= size)
  return unit === undefined ? "just now" : `${Math.floor((nowMs - sinceMs) / unit[1])} ${unit[0]} ago`
}

const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" })
const timeOfDay = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
  hourCycle: "h23"
})

export const moment = (ms: number): string => dateTime.format(ms)

export const clockTime = (ms: number): string => timeOfDay.format(ms)

/** Text as it is, anything else as indented JSON: what a person can read in full. */
const readable = (value: unknown): string =>
  typeof value === "string" ? value : JSON.stringify(value, null, 2) ?? "nothing"

const isText = (value: unknown): value is string => typeof value === "string" && value.trim().includes("\n")

/** A value in the parts in which it reads best: members that hold several lines of text, each by itself, and the rest. */
export const readableParts = (value: unknown): ReadonlyArray<readonly [name: string | undefined, text: string]> => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [[undefined, readable(value)]]
  const members = Object.entries(value)
  const rest = members.filter(([, member]) => !isText(member))
  const texts = members.flatMap(([name, member]) => isText(member) ? [[name, member] as const] : [])
  return [
    ...rest.length > 0 || texts.length === 0 ? [[undefined, readable(Object.fromEntries(rest))] as const] : [],
    ...texts
  ]
}
