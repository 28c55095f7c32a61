import { Command } from "@effect/platform"
import { assert, it } from "@effect/vitest"
import { Effect, Exit, FastCheck, Redacted, Schema, Scope } from "effect"
import { InvalidSecretInput, SandboxEnvironment, SecretGuard, SecretNotFound } from "../../src/secrets/index.ts"
import { alnum, draw, memory, refusalOf, secretsLayer } from "./support.ts"

const value = draw(alnum, 24, "environment")
const live = secretsLayer([memory({ key: value, short: "1234567", large: "x".repeat(65_536) })])
const key = { provider: "memory", name: "key" }

const build = (options: SandboxEnvironment.Options) =>
  Effect.map(SandboxEnvironment.build(options), (environment) => ({ ...Redacted.value(environment) }))

it.scoped("an environment has the literals and secrets that are named, and nothing else", () =>
  Effect.gen(function*() {
    process.env["SMITHERS_TEST_LEAK"] = "leak"
    yield* Effect.addFinalizer(() => Effect.sync(() => delete process.env["SMITHERS_TEST_LEAK"]))
    assert.deepStrictEqual(yield* build({}), {})
    const environment = { literals: { PATH: "/usr/bin:/bin", EMPTY: "", _x1: "a=b\nc é" }, secrets: { API_KEY: key } }
    assert.deepStrictEqual(yield* build(environment), {
      PATH: "/usr/bin:/bin",
      EMPTY: "",
      _x1: "a=b\nc é",
      API_KEY: value
    })
    // What a real process sees of it.
    const seen = yield* SandboxEnvironment.build(environment).pipe(
      Effect.flatMap((built) =>
        Command.make(process.execPath, "-p", "JSON.stringify(process.env)").pipe(
          Command.env(Redacted.value(built), { extendEnv: false }),
          Command.string
        )
      )
    )
    assert.deepStrictEqual(JSON.parse(seen), yield* build(environment))
  }).pipe(Effect.provide(live)))

it.effect("an environment lives as long as its scope, prints as redacted, and its secrets are guarded", () =>
  Effect.gen(function*() {
    const guard = yield* SecretGuard.SecretGuard
    const scope = yield* Scope.make()
    const environment = yield* Scope.extend(SandboxEnvironment.build({ secrets: { API_KEY: key } }), scope)
    assert.strictEqual(JSON.stringify({ environment }), `{"environment":"<redacted>"}`)
    assert.strictEqual(yield* refusalOf(guard, JSON.stringify({ log: `env: ${value}` })), "input.log: memory:key")
    const record = Redacted.value(environment)
    yield* Scope.close(scope, Exit.void)
    assert.throws(() => Redacted.value(environment))
    assert.strictEqual(record["API_KEY"], "")
  }).pipe(Effect.provide(live)))

const refused = (options: SandboxEnvironment.Options) =>
  Effect.gen(function*() {
    const error = yield* Effect.flip(Effect.scoped(build(options)))
    assert.instanceOf(error, InvalidSecretInput)
    assert.notInclude(error.message, value)
    return error.field
  })

for (
  const name of ["", "1A", "A-B", "A B", "A=B", "A\0B", "A\nB", "é", "a.b", "__proto__=x", "x".repeat(129)]
) {
  it.effect(`a name is refused: ${JSON.stringify(name.slice(0, 20))}`, () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* refused({ literals: { [name]: "x" } }), `env.${name.slice(0, 128)}`)
      assert.strictEqual(yield* refused({ secrets: { [name]: key } }), `env.${name.slice(0, 128)}`)
    }).pipe(Effect.provide(live)))
}

for (
  const name of [
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "LD_AUDIT",
    "DYLD_INSERT_LIBRARIES",
    "BASH_ENV",
    "ENV",
    "IFS",
    "PROMPT_COMMAND",
    "NODE_OPTIONS",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PERL5OPT",
    "RUBYOPT",
    "JAVA_TOOL_OPTIONS",
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "GIT_SSH_COMMAND",
    "GIT_CONFIG_COUNT",
    "EDITOR"
  ]
) {
  it.scoped(`a name by which programs are told what to execute is refused unless it is allowed: ${name}`, () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* refused({ literals: { [name]: "x" } }), `env.${name}`)
      assert.strictEqual(yield* refused({ secrets: { [name]: key }, allowNames: ["OTHER"] }), `env.${name}`)
      assert.deepStrictEqual(yield* build({ literals: { [name]: "x" }, allowNames: [name] }), { [name]: "x" })
    }).pipe(Effect.provide(live)))
}

it.scoped("names that are special to JavaScript are names like others", () =>
  Effect.gen(function*() {
    const literals = Object.fromEntries([["__proto__", "a"], ["constructor", "b"], ["toString", "c"]])
    const environment = Redacted.value(yield* SandboxEnvironment.build({ literals }))
    assert.deepStrictEqual(Object.entries(environment), Object.entries(literals))
  }).pipe(Effect.provide(live)))

it.effect("bounds hold on values, their sum and their number; nothing is both literal and secret", () =>
  Effect.gen(function*() {
    assert.strictEqual(yield* refused({ literals: { A: "a\0b" } }), "env.A")
    assert.strictEqual(yield* refused({ literals: { A: "é".repeat(65_473) } }), "env.A")
    const many = (count: number, text: string) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`V${index}`, text]))
    assert.strictEqual(yield* refused({ literals: many(9, "x".repeat(120_000)) }), "env")
    assert.strictEqual(yield* refused({ literals: many(257, "") }), "env")
    assert.strictEqual(yield* refused({ literals: { A: "x" }, secrets: { A: key } }), "env.A")
    yield* Effect.scoped(build({ literals: many(256, "") }))
    yield* Effect.scoped(build({ literals: { A: "é".repeat(65_471) } }))
  }).pipe(Effect.provide(live)))

it.effect("a secret that cannot be had leaves no environment", () =>
  Effect.gen(function*() {
    const missing = yield* Effect.flip(
      Effect.scoped(SandboxEnvironment.build({ secrets: { A: key, B: { provider: "memory", name: "none" } } }))
    )
    assert.instanceOf(missing, SecretNotFound)
    assert.strictEqual(missing.secretName, "none")
    const short = yield* Effect.flip(
      Effect.scoped(SandboxEnvironment.build({ secrets: { A: { provider: "memory", name: "short" } } }))
    )
    assert.strictEqual(short._tag, "SecretUnavailable")
  }).pipe(Effect.provide(live)))

it.effect("any record of well-formed names and values is given as it is", () =>
  Effect.gen(function*() {
    const Name = Schema.String.pipe(Schema.pattern(/^[a-z_][a-z0-9_]{0,20}$/))
    const records = FastCheck.sample(
      FastCheck.dictionary(
        FastCheck.stringMatching(/^[a-z_][a-z0-9_]{0,20}$/),
        FastCheck.fullUnicodeString({ maxLength: 200 }).filter((text) => !text.includes("\0"))
      ),
      { numRuns: 200, seed: 8 }
    )
    for (const literals of records) {
      assert.isTrue(Object.keys(literals).every(Schema.is(Name)))
      assert.deepStrictEqual(yield* Effect.scoped(build({ literals })), literals)
    }
  }).pipe(Effect.provide(live)))
