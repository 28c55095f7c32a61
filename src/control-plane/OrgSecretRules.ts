import { Either } from "effect"
import type { Tenant } from "../model/index.ts"
import { orgProvider, type SecretRef } from "../secrets/index.ts"

/** What references of organizations may point to: names of one provider that begin so. */
export interface Rule {
  readonly provider: string
  /** With `{org}`, and `{project}` behind it, for the ids of the run. */
  readonly prefix: string
}

const org = "{org}"
const project = "{project}"

/** Of what no id of an organization or a project has (`Fields.Id`): where this comes, an id is over. */
const noIdGoesOn = /^(?![A-Za-z0-9:_-])/

/** Plain enough that neither a URL, nor a path, nor a program makes something else of it than what is written. */
const plainRest = /^[A-Za-z0-9_.:/@=+-]*$/

const hasDots = (name: string): boolean => name.includes("..") || name.split("/").includes(".")

/** What is wrong with a rule by itself, if anything is. */
const problemOf = ({ prefix, provider }: Rule): string | undefined => {
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(provider)) return "must be the id of a provider, a colon and a prefix"
  if (provider === orgProvider) return `must not point to ${orgProvider} itself`
  if (!/^[!-~]{0,512}$/.test(prefix) || hasDots(prefix)) {
    return "must have a prefix of at most 512 visible ASCII characters, without .. and /./"
  }
  const rest = prefix.replace(org, "").replace(project, "")
  if (/[{}]/.test(rest)) return `must have no braces but one ${org} and one ${project}`
  if (prefix.includes(project) && !prefix.slice(0, prefix.indexOf(project)).includes(org)) {
    return `must have ${org} before ${project}: projects of two organizations may have one id`
  }
  // Else the ids a and a-b could not be told apart.
  return [org, project].every((placeholder) => {
      const [, behind] = prefix.split(placeholder)
      return behind === undefined || (!behind.startsWith("{") && noIdGoesOn.test(behind))
    })
    ? undefined
    : `must have a character that no id has, like / or ., behind ${org} and ${project}, or nothing`
}

const headOf = ({ prefix }: Rule): string => prefix.split(org)[0] ?? ""
const names = ({ prefix }: Rule): boolean => prefix.includes(org)

/** Whether something could be within both, for two organizations of which one should not have it. */
const collide = (one: Rule, other: Rule): boolean => {
  if (one.provider !== other.provider || !(names(one) || names(other))) return false
  const [a, b] = [headOf(one), headOf(other)]
  return a === b ? names(one) !== names(other) : a.startsWith(b) || b.startsWith(a)
}

/**
 * Rules from `vault:secret/{org}/,file:/secrets/{org}/{project}/`. What is wrong is said with the rule. Whatever is
 * accepted, nothing is within rules with `{org}` for two organizations.
 */
export const parse = (text: string): Either.Either<ReadonlyArray<Rule>, string> => {
  const rules: Array<Rule> = []
  for (const item of text.split(",").map((item) => item.trim())) {
    const colon = item.indexOf(":")
    const rule = { provider: item.slice(0, Math.max(colon, 0)), prefix: item.slice(colon + 1) }
    const problem = problemOf(rule)
    if (problem !== undefined) return Either.left(`${item} ${problem}`)
    const other = rules.find((earlier) => collide(earlier, rule))
    if (other !== undefined) {
      return Either.left(
        `${item} and ${other.provider}:${other.prefix} overlap, so an organization would reach another's`
      )
    }
    rules.push(rule)
  }
  return Either.right(rules)
}

/** Whether a reference of the tenant may point to a secret. A rule about projects says nothing of runs without one. */
export const permit = (rules: ReadonlyArray<Rule>, { orgId, projectId }: Tenant, ref: SecretRef.SecretRef): boolean =>
  !hasDots(ref.name) &&
  rules.some(({ prefix, provider }) => {
    if (provider !== ref.provider || (projectId === null && prefix.includes(project))) return false
    const own = prefix.replace(org, () => orgId).replace(project, () => projectId ?? "")
    const rest = ref.name.slice(own.length)
    return ref.name.startsWith(own) && plainRest.test(rest) && (!prefix.endsWith("}") || noIdGoesOn.test(rest))
  })
