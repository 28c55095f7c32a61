/** Who shares a result: one run, all runs of a workflow, or everybody of the tenant. */
export type Scope = "run" | "workflow" | "global"

/** When a result may be used again. */
export interface Policy {
  /** `workflow` unless given; anything else that is not `run` or `global` counts as `workflow`. */
  readonly scope?: Scope | undefined
  /**
   * Used only while younger than this, counted from when it was stored; a hit does not make it younger. Absent: for
   * ever. 0, a negative number or NaN: never, though it is stored.
   */
  readonly ttlMs?: number | undefined
  /** After `ttlMs`, for so long, a hit is given out once more while one execution in the background replaces it. */
  readonly staleMs?: number | undefined
  /** To be changed whenever prompt, model, provider, tool behaviour or the meaning of the output changes. */
  readonly version?: string | number | undefined
  /** Names the result instead of the task's id, so that several tasks share it. Plain data. */
  readonly key?: unknown
  /**
   * The inputs that matter: other inputs, another result. Plain data, or a function that returns it. When it throws or
   * is no plain data, nothing is looked up and nothing is stored.
   */
  readonly by?: unknown
  /** What else the result depends on: agent, tools, revision of the files. */
  readonly dependsOn?: Readonly<Record<string, string>> | undefined
  /** For `list` and `purge`; at most 16 of at most 64 characters. */
  readonly tags?: ReadonlyArray<string> | undefined
}

export const scopeOf = ({ scope }: Policy): Scope => scope === "run" || scope === "global" ? scope : "workflow"

/** `Infinity` without a ttl; never positive when nothing is ever fresh. */
const ttlOf = ({ ttlMs }: Policy): number =>
  ttlMs === undefined || ttlMs === null ? Infinity : typeof ttlMs === "number" && ttlMs > 0 ? ttlMs : 0

const staleOf = ({ staleMs }: Policy): number =>
  typeof staleMs === "number" && staleMs > 0 && staleMs < Infinity ? staleMs : 0

/** Whether a result of this age may be used. A clock that was set back makes every age doubtful, so nothing with a ttl is. */
export const freshness = (policy: Policy, ageMs: number): "fresh" | "stale" | "expired" => {
  const ttl = ttlOf(policy)
  if (ttl === Infinity) return "fresh"
  if (ttl === 0 || ageMs < 0) return "expired"
  return ageMs < ttl ? "fresh" : ageMs < ttl + staleOf(policy) ? "stale" : "expired"
}

/** From when on nobody under this policy uses the result; null: never. */
export const expiryOf = (policy: Policy, createdAtMs: number): number | null => {
  const ttl = ttlOf(policy)
  const expiry = ttl === 0 ? createdAtMs : Math.ceil(createdAtMs + ttl + staleOf(policy))
  return Number.isSafeInteger(expiry) ? expiry : null
}

const maxTags = 16
const maxTagChars = 64

/** What is wrong with the tags, if anything. */
export const tagsProblem = ({ tags = [] }: Policy): string | undefined =>
  tags.length > maxTags
    ? `There are ${tags.length} tags, at most ${maxTags} are kept.`
    : tags.find((tag) => tag.length > maxTagChars) === undefined
    ? undefined
    : `A tag is longer than ${maxTagChars} characters.`
