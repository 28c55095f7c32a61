import { Schema } from "effect"
import { CatalogScope, catalogScopes } from "../../model/index.ts"

export type Methods = ReadonlyMap<string, CatalogScope>

/** Within a family each scope implies those before it; nothing crosses families. */
const families: ReadonlyArray<ReadonlyArray<CatalogScope>> = [
  ["run:read", "run:write", "run:admin"],
  ["approval:read", "approval:submit"],
  ["cron:read", "cron:write"],
  ["ticket:read", "ticket:write"]
]

const lower = (scope: CatalogScope): ReadonlyArray<CatalogScope> => {
  const family = families.find((scopes) => scopes.includes(scope))
  return family === undefined ? [scope] : family.slice(0, family.indexOf(scope) + 1)
}

const execute = ["run:write", "signal:submit", "cron:write", "ticket:write"] as const

const legacy: Readonly<Record<string, ReadonlyArray<CatalogScope>>> = {
  "*": catalogScopes,
  admin: catalogScopes,
  read: catalogScopes.filter((scope) => scope.endsWith(":read")),
  execute,
  approve: [...execute, "approval:submit"]
}

/** What each word that is not a method implies. */
const implied: ReadonlyMap<string, ReadonlySet<CatalogScope>> = new Map([
  ...catalogScopes.map((scope) => [scope, new Set(lower(scope))] as const),
  ...Object.entries(legacy).map(([word, scopes]) => [word, new Set(scopes.flatMap(lower))] as const)
])

/** What a method that nobody declares requires. */
const undeclared: CatalogScope = "run:read"

const matches = (pattern: string, method: string): boolean =>
  pattern === method || (pattern.endsWith(".*") && method.startsWith(pattern.slice(0, -1)))

const implies = (granted: string, required: CatalogScope): boolean => implied.get(granted)?.has(required) === true

/**
 * Whether any of the granted strings gives `required` to a caller of `method` (`wire-protocol.md` §3.5). A string that
 * names the method gives no more than what that method itself requires.
 */
export const allows = (
  granted: ReadonlyArray<string>,
  required: CatalogScope,
  method: string | undefined,
  methods: Methods
): boolean =>
  granted.some((text) => {
    const word = text.trim()
    return implies(word, required) ||
      (method !== undefined && matches(word, method) && implies(methods.get(method) ?? undeclared, required))
  })

const isCatalogScope = Schema.is(CatalogScope)

/** Whether the granted strings give a scope that somebody names: one of the catalog by implication, any other literally. */
export const holds = (granted: ReadonlyArray<string>, scope: string): boolean =>
  isCatalogScope(scope)
    ? allows(granted, scope, undefined, new Map())
    : granted.some((text) => text.trim() === scope || text.trim() === "*")

/** Whether the string means anything: a catalog scope, `*`, a legacy word, a declared method or a prefix of some. */
export const isKnown = (scope: string, methods: Methods): boolean =>
  implied.has(scope) || [...methods.keys()].some((method) => matches(scope, method))

/** Whether whoever holds `held` loses nothing of `scope`, so that they may hand it on. */
export const covers = (held: ReadonlyArray<string>, scope: string, methods: Methods): boolean => {
  const words = held.map((text) => text.trim())
  if (words.includes("*") || words.includes("admin") || words.includes(scope)) return true
  if (scope === "*" || scope === "admin") return false
  const meaning = implied.get(scope) ?? [...methods].filter(([name]) => matches(scope, name)).map(([, own]) => own)
  return [...meaning].every((needed) => words.some((word) => implies(word, needed)))
}
