import { Either, Schema } from "effect"
import type { Identity } from "./Identity.ts"
import { canonical, canonicalMembers } from "./internal/Canonical.ts"
import { sha256 } from "./internal/Digest.ts"
import { signatureOf } from "./internal/Signature.ts"
import { type Policy, scopeOf, tagsProblem } from "./Policy.ts"

/** What is asked for, and by whom. */
export interface Request<A, I> {
  readonly identity: Identity
  readonly policy: Policy
  /** The task: part of the key, unless the policy has a `key`. */
  readonly nodeId: string
  /** Recorded with what is stored; not part of the key, so the turns of a loop share an entry. */
  readonly iteration: number
  readonly output: Schema.Schema<A, I>
}

/** Everything that a key is made of, by name; the values are canonical texts, long ones a digest. */
export type Parts = Readonly<Record<string, string>>

export interface Key {
  /** SHA-256 of the parts. */
  readonly key: string
  readonly parts: Parts
}

/** Longer values are kept as a digest: an explanation then says that they differ, not how. */
const maxPartChars = 512

const shortened = (text: string): string =>
  text.length <= maxPartChars ? text : `sha256(${sha256(text)}) of ${text.length} characters`

/** The key of these parts: sorted, so that the order of making does not matter. */
export const keyOfParts = (parts: Parts): string =>
  sha256(JSON.stringify(Object.entries(parts).sort(([a], [b]) => a < b ? -1 : 1)))

const decodeString = Schema.decodeUnknownSync(Schema.parseJson(Schema.String))

/** A text that stands for a string is that string. */
const readable = (text: string): string => text.startsWith("\"") ? decodeString(text) : text

export const tenantOf = ({ tenant = "" }: Parts): string => readable(tenant)

/** What entries of the same task have in common: the policy's `key`, else the node id. */
export const taskOf = (parts: Parts): string =>
  readable(
    parts["task"] !== undefined && parts["task"] !== "null"
      ? parts["task"]
      : parts["key"] ?? JSON.stringify(Object.entries(parts).filter(([name]) => name.startsWith("key.")))
  )

const noKey = Either.right({ key: "null" })

/** The key of a request, or why it has none. In the path of every hit: it makes few objects. */
export const keyOf = <A, I>({ identity, nodeId, output, policy }: Request<A, I>): Either.Either<Key, string> => {
  const scope = scopeOf(policy)
  const problem = tagsProblem(policy)
  if (problem !== undefined) return Either.left(problem)
  if (scope === "run" && identity.runId === null) {
    return Either.left("Scope run, but this is not the code of a run.")
  }
  const key = policy.key === undefined ? noKey : canonicalMembers("key", () => policy.key)
  if (Either.isLeft(key)) return Either.left(key.left)
  const by = canonicalMembers("by", () => typeof policy.by === "function" ? policy.by() : policy.by)
  if (Either.isLeft(by)) return Either.left(by.left)
  const dependsOn = policy.dependsOn === undefined ? undefined : canonicalMembers("dependsOn", () => policy.dependsOn)
  if (dependsOn !== undefined && Either.isLeft(dependsOn)) return Either.left(dependsOn.left)
  const version = canonical(policy.version ?? null, "version")
  if (Either.isLeft(version)) return Either.left(version.left)
  const parts: Record<string, string> = {
    tenant: JSON.stringify(identity.tenant),
    scope: JSON.stringify(scope),
    workflow: scope === "global" ? "null" : JSON.stringify(identity.workflow),
    run: scope === "run" ? JSON.stringify(identity.runId) : "null",
    task: key.right["key"] === "null" ? JSON.stringify(nodeId) : "null",
    ...key.right,
    version: version.right,
    ...by.right,
    ...dependsOn?.right,
    output: signatureOf(output).hash
  }
  for (const [name, text] of Object.entries(parts)) parts[name] = shortened(text)
  return Either.right({ key: keyOfParts(parts), parts })
}
