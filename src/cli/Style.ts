import type { NodeState, RunStatus } from "../model/index.ts"

const escape = String.fromCharCode(27)
const code = (n: number) => (text: string): string => `${escape}[${n}m${text}${escape}[0m`

export const red = code(31)
export const green = code(32)
const yellow = code(33)
export const cyan = code(36)
export const dim = code(2)
export const bold = code(1)

const colours: Readonly<Record<string, (text: string) => string>> = {
  "finished": green,
  "failed": red,
  "cancelled": red,
  "in-progress": cyan,
  "running": cyan
}

/** A state in its colour: what waits is yellow, what is to come is dim. */
export const ofState = (state: NodeState | RunStatus | (string & {})): (text: string) => string =>
  colours[state] ?? (state.startsWith("waiting") || state === "paused" ? yellow : dim)

const escapes = new RegExp(`${escape}\\[[0-9;?]*[A-Za-z]`, "g")

/** The text without colours and cursor movements. */
export const plain = (text: string): string => text.replaceAll(escapes, "")
