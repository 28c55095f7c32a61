import { Effect, Redacted, type Scope } from "effect"
import { InvalidSecretInput, type SecretNotFound, type SecretUnavailable } from "./SecretError.ts"
import type { SecretRef } from "./SecretRef.ts"
import { Secrets } from "./Secrets.ts"

/** All that a sandboxed program gets to know by its environment. */
export interface Options {
  /** May be stored and shown. */
  readonly literals?: Readonly<Record<string, string>> | undefined
  readonly secrets?: Readonly<Record<string, SecretRef>> | undefined
  /** Names that are refused otherwise, since they make programs load or execute something. */
  readonly allowNames?: ReadonlyArray<string> | undefined
}

/** Bounds on an environment; the value's is the one of Linux on one string of it, name included. */
export const bounds = { variables: 256, nameChars: 128, valueBytes: 131_072 - 130, totalBytes: 1_048_576 } as const

const shape = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/

/**
 * Variables by which dynamic loaders, shells, language runtimes and git are told what to load or to execute: ld.so(8),
 * gconv in iconv(1), bash(1), and the manuals of Node.js, Python, Perl, Ruby, Java and git.
 */
const executing = new RegExp(
  `^(?:${
    [
      "LD_.*",
      "DYLD_.*",
      "GCONV_PATH",
      "GLIBC_TUNABLES",
      "BASH_ENV",
      "BASH_FUNC_.*",
      "ENV",
      "IFS",
      "SHELLOPTS",
      "BASHOPTS",
      "PS4",
      "PROMPT_COMMAND",
      "NODE_OPTIONS",
      "NODE_PATH",
      "PYTHON(?:PATH|STARTUP|HOME|INSPECT|BREAKPOINT|WARNINGS)",
      "PERL5?(?:OPT|LIB|DB)",
      "RUBY(?:OPT|LIB)",
      "JAVA_TOOL_OPTIONS",
      "_?JAVA_OPTIONS",
      "JDK_JAVA_OPTIONS",
      "GIT_(?:SSH|SSH_COMMAND|ASKPASS|EXTERNAL_DIFF|PAGER|EDITOR|EXEC_PATH|TEMPLATE_DIR|CONFIG.*|PROXY_COMMAND)",
      "SSH_ASKPASS",
      "EDITOR",
      "VISUAL",
      "PAGER",
      "BROWSER"
    ].join("|")
  })$`
)

/**
 * An environment made from nothing: these literals and these secrets, and no variable of ours. The record belongs to the
 * scope, as its secrets do; hand it to the process and let it go. It has no prototype.
 */
export const build = Effect.fn("SandboxEnvironment.build")(function*(
  { allowNames = [], literals = {}, secrets = {} }: Options
): Effect.fn.Return<
  Redacted.Redacted<Readonly<Record<string, string>>>,
  InvalidSecretInput | SecretNotFound | SecretUnavailable,
  Secrets | Scope.Scope
> {
  const resolver = yield* Secrets
  const invalid = (field: string, bound: string) => new InvalidSecretInput({ field, bound })
  const names = [...Object.keys(literals), ...Object.keys(secrets)]
  if (names.length > bounds.variables) return yield* invalid("env", `must have at most ${bounds.variables} variables`)
  for (const name of names) {
    const field = `env.${name.slice(0, bounds.nameChars)}`
    if (!shape.test(name)) {
      return yield* invalid(
        field,
        `must be named by 1–${bounds.nameChars} characters of A-Z, a-z, 0-9 and _, the first no digit`
      )
    }
    if (executing.test(name) && !allowNames.includes(name)) {
      return yield* invalid(field, "makes programs load or execute something, and is not in allowNames")
    }
    if (Object.hasOwn(literals, name) && Object.hasOwn(secrets, name)) {
      return yield* invalid(field, "must be a literal or a secret, not both")
    }
  }
  const environment: Record<string, string> = Object.create(null) as Record<string, string> // -- so that no name is special
  let total = 0
  const set = (name: string, value: string): Effect.Effect<void, InvalidSecretInput> => {
    const bytes = new TextEncoder().encode(value).length
    total += name.length + bytes + 2
    if (value.includes("\0")) return invalid(`env.${name}`, "must not contain NUL")
    if (bytes > bounds.valueBytes) return invalid(`env.${name}`, `must be at most ${bounds.valueBytes} bytes`)
    if (total > bounds.totalBytes) return invalid("env", `must be at most ${bounds.totalBytes} bytes in all`)
    environment[name] = value
    return Effect.void
  }
  for (const [name, value] of Object.entries(literals)) yield* set(name, value)
  for (const [name, ref] of Object.entries(secrets)) yield* set(name, Redacted.value(yield* resolver.resolve(ref)))
  return yield* Effect.acquireRelease(
    Effect.sync(() => Redacted.make<Readonly<Record<string, string>>>(environment)),
    (redacted) =>
      Effect.sync(() => {
        Redacted.unsafeWipe(redacted)
        for (const name of Object.keys(environment)) environment[name] = ""
      })
  )
})
