import { Effect } from "effect"
import { PolicyInvalid } from "../../RuntimeError.ts"
import type { Spec } from "../../SandboxRuntime.ts"

const maxArguments = 1_024
const maxCommandBytes = 131_072
const maxOwnCode = 64
const maxVariables = 1_024
const maxEnvironmentBytes = 262_144
const maxStdinBytes = 16_777_216

const bytesOf = (texts: ReadonlyArray<string>) => texts.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0)
const hasNul = (texts: ReadonlyArray<string>) => texts.some((text) => text.includes("\0"))

/** The first thing about a request that is out of bounds. */
const problemOf = ({ command, env, ownCode = [], stdin, workspace }: Spec): readonly [string, string] | undefined => {
  const [program = ""] = command
  const variables = Object.entries(env).flat()
  const badName = Object.keys(env).find((name) => !/^[A-Za-z_][A-Za-z0-9_]{0,255}$/.test(name))
  if (program === "" || command.length > maxArguments) return ["command", `must have 1 to ${maxArguments} members`]
  if (bytesOf(command) > maxCommandBytes) return ["command", `must have at most ${maxCommandBytes} bytes`]
  if (hasNul(command)) return ["command", "must not contain NUL"]
  if (badName !== undefined) {
    return [`env.${badName.slice(0, 64)}`, "must be named by letters, digits and _, at most 256 of them"]
  }
  if (Object.keys(env).length > maxVariables) return ["env", `must have at most ${maxVariables} members`]
  if (bytesOf(variables) > maxEnvironmentBytes) return ["env", `must have at most ${maxEnvironmentBytes} bytes`]
  if (hasNul(variables)) return ["env", "must not contain NUL"]
  if (stdin !== undefined && stdin.length > maxStdinBytes) return ["stdin", `must have at most ${maxStdinBytes} bytes`]
  if (ownCode.length > maxOwnCode || !ownCode.every((path) => path.startsWith("/")) || hasNul(ownCode)) {
    return ["ownCode", `must have at most ${maxOwnCode} members, all absolute paths`]
  }
  if (!workspace.startsWith("/") || workspace.includes("\0")) return ["workspace", "must be an absolute path"]
  return undefined
}

export const checkSpec = (spec: Spec): Effect.Effect<void, PolicyInvalid> => {
  const problem = problemOf(spec)
  return problem === undefined ? Effect.void : new PolicyInvalid({ field: problem[0], bound: problem[1] })
}
