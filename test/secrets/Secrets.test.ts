import { assert, describe, it } from "@effect/vitest"
import {
  ConfigProvider,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Inspectable,
  Redacted,
  Schema,
  SchemaAST,
  Scope,
  TestClock
} from "effect"
import * as Api from "../../src/secrets/index.ts"
import {
  InvalidSecretInput,
  type Observation,
  SecretGuard,
  SecretNotFound,
  type SecretProvider,
  SecretRef,
  Secrets,
  SecretsConfig,
  SecretUnavailable
} from "../../src/secrets/index.ts"
import { alnum, credentials, draw, memory, refusalOf, resolve, secretsLayer } from "./support.ts"

const value = draw(alnum, 24, "secrets")

/** A provider that counts how often it is asked, and answers what `answer` says. */
const counting = (answer: (asked: number) => ReturnType<SecretProvider["read"]>) => {
  const provider = {
    id: "cmd",
    asked: 0,
    read: () => Effect.suspend(() => answer(++provider.asked))
  }
  return provider
}

const unavailable = new SecretUnavailable({ provider: "cmd", secretName: "x", reason: "Failed", detail: "it failed" })

describe("a reference", () => {
  it.effect("has a short form, which reads back as what it was", () =>
    Effect.gen(function*() {
      const forms: ReadonlyArray<readonly [string, SecretRef.SecretRef]> = [
        ["env:API_KEY", { provider: "env", name: "API_KEY" }],
        ["file:/run/secrets/a b", { provider: "file", name: "/run/secrets/a b" }],
        ["cmd:x", { provider: "cmd", name: "x" }],
        [
          "aws-secrets-manager:arn:aws:secretsmanager:us-east-1:123:secret:deploy",
          { provider: "aws-secrets-manager", name: "arn:aws:secretsmanager:us-east-1:123:secret:deploy" }
        ]
      ]
      for (const [text, ref] of forms) {
        assert.deepStrictEqual(yield* SecretRef.parse(text), ref)
        assert.strictEqual(SecretRef.text(ref), text)
        assert.deepStrictEqual(yield* Schema.decode(SecretRef.SecretRefText)(text), ref)
        assert.strictEqual(yield* Schema.encode(SecretRef.SecretRefText)(ref), text)
      }
    }))

  it.prop("is any provider and name within the bounds", [SecretRef.SecretRef], ([ref]) => {
    assert.deepStrictEqual(Schema.decodeSync(SecretRef.SecretRefText)(SecretRef.text(ref)), ref)
  })

  it.effect("that is none says which field is wrong and what it must be, and does not quote what was given", () =>
    Effect.gen(function*() {
      const token = credentials("ref")["openai-key"]!
      const bad: ReadonlyArray<readonly [string, string]> = [
        ["provider", ""],
        ["provider", token],
        ["provider", `:${token}`],
        ["provider", "Env:X"],
        ["provider", "e v:X"],
        ["provider", `${"e".repeat(65)}:X`],
        ["name", "env:"],
        ["name", "cmd:--output=/etc/passwd"],
        ["name", "cmd:a\nb"],
        ["name", "cmd:a\0b"],
        ["name", "cmd:\ud800"],
        ["name", `cmd:${"x".repeat(1_025)}`],
        ["name", `cmd:${token}`]
      ]
      for (const [field, text] of bad) {
        const error = yield* Effect.flip(SecretRef.parse(text))
        assert.instanceOf(error, InvalidSecretInput)
        assert.strictEqual(error.field, field)
        const parsed = yield* Effect.flip(Schema.decode(SecretRef.SecretRefText)(text))
        const [provider = "", name = text] = text.split(/:(.*)/s)
        const struct = yield* Effect.flip(Schema.decode(SecretRef.SecretRef)({ provider, name }))
        if (text.includes(token)) {
          for (const said of [error.message, parsed.message, struct.message]) assert.notInclude(said, token)
        }
      }
    }))
})

describe("a value", () => {
  it.effect("is there until its scope is closed; then reading it throws", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const secret = yield* Scope.extend(resolve("memory:key"), scope)
      assert.strictEqual(Redacted.value(secret), value)
      yield* Scope.close(scope, Exit.void)
      assert.throws(() => Redacted.value(secret))
      const secrets = yield* Secrets.Secrets
      const kept = yield* secrets.use({ provider: "memory", name: "key" }, (own) =>
        Effect.sync(() => {
          assert.strictEqual(Redacted.value(own), value)
          return own
        }))
      assert.throws(() => Redacted.value(kept))
    }).pipe(Effect.provide(secretsLayer([memory({ key: value })]))))

  it.effect("of one use is not taken away by the end of another one", () =>
    Effect.gen(function*() {
      const secrets = yield* Secrets.Secrets
      const ref = { provider: "memory", name: "key" }
      yield* secrets.use(ref, (outer) =>
        Effect.gen(function*() {
          yield* secrets.use(ref, () => Effect.void)
          assert.strictEqual(Redacted.value(outer), value)
        }))
    }).pipe(Effect.provide(secretsLayer([memory({ key: value })]))))

  it.effect("is known to the guard from its first resolution on", () =>
    Effect.gen(function*() {
      const guard = yield* SecretGuard.SecretGuard
      const text = JSON.stringify({ header: `x ${value}` })
      assert.isNull(yield* refusalOf(guard, text))
      yield* Effect.scoped(resolve("memory:key"))
      assert.strictEqual(yield* refusalOf(guard, text), "input.header: memory:key")
    }).pipe(Effect.provide(secretsLayer([memory({ key: value })]))))

  it.scoped("that is not there, or not within the bounds, is a typed error with provider and name, without the value", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [string, string]> = [
        ["memory:none", "SecretNotFound"],
        ["nobody:x", "UnknownProvider"],
        ["memory:short", "TooShort"],
        ["memory:empty", "TooShort"],
        ["memory:long", "TooLarge"],
        ["memory:nul", "NotText"],
        ["memory:surrogate", "NotText"]
      ]
      for (const [reference, expected] of cases) {
        const error = yield* Effect.flip(resolve(reference))
        assert.isTrue(error instanceof SecretNotFound || error instanceof SecretUnavailable)
        if (error instanceof InvalidSecretInput) continue
        assert.strictEqual("reason" in error ? error.reason : error._tag, expected)
        assert.strictEqual(`${error.provider}:${error.secretName}`, reference)
        assert.include(error.message, reference)
        assert.notInclude(JSON.stringify(error) + String(error.stack), "s3cr3t!")
      }
    }).pipe(Effect.provide(secretsLayer([memory({
      short: "s3cr3t!",
      empty: "",
      long: "s3cr3t!".repeat(10_000),
      nul: "s3cr3t!s3cr3t!\0",
      surrogate: "s3cr3t!\ud800s3cr3t!"
    })]))))
})

it.effect("ttl is read from the configuration, at most 15 minutes", () =>
  Effect.gen(function*() {
    const configured = (text?: string) =>
      SecretsConfig.SecretsConfig.pipe(
        Effect.provide(SecretsConfig.layerConfig),
        Effect.withConfigProvider(
          ConfigProvider.fromMap(new Map(text === undefined ? [] : [["SMITHERS_SECRETS_TTL", text]]), {
            pathDelim: "_"
          })
        ),
        Effect.map(({ ttl }) => Duration.toSeconds(ttl))
      )
    assert.strictEqual(yield* configured(), 60)
    assert.strictEqual(yield* configured("15 minutes"), 900)
    assert.include(String(yield* Effect.flip(configured("16 minutes"))), "at most 15 minutes")
  }))

describe("the provider", () => {
  const fresh = counting((asked) => Effect.succeed(Redacted.make(`${value}-${asked}`)))
  it.effect("is asked again after ttl, and not before", () =>
    Effect.gen(function*() {
      fresh.asked = 0
      const current = Effect.scoped(Effect.map(resolve("cmd:x"), Redacted.value))
      assert.strictEqual(yield* current, `${value}-1`)
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual(yield* current, `${value}-1`)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* current, `${value}-2`)
    }).pipe(Effect.provide(secretsLayer([fresh]))))

  it.effect("is asked each time when ttl is 0, and at least each 15 minutes", () =>
    Effect.gen(function*() {
      const current = Effect.scoped(Effect.map(resolve("cmd:x"), Redacted.value))
      fresh.asked = 0
      yield* Effect.provide(
        Effect.zipRight(current, current),
        secretsLayer([fresh], { settings: { ttl: Duration.zero } })
      )
      assert.strictEqual(fresh.asked, 2)
      fresh.asked = 0
      yield* Effect.provide(
        Effect.all([current, TestClock.adjust("899 seconds"), current, TestClock.adjust("1 second"), current]),
        secretsLayer([fresh], { settings: { ttl: Duration.days(1) } })
      )
      assert.strictEqual(fresh.asked, 2)
    }))

  it.effect("is asked once by a thousand who ask at once", () => {
    const slow = counting(() => Effect.as(Effect.yieldNow(), Redacted.make(value)))
    return Effect.gen(function*() {
      const all = yield* Effect.scoped(
        Effect.all(Array.from({ length: 1_000 }, () => Effect.map(resolve("cmd:x"), Redacted.value)), {
          concurrency: "unbounded"
        })
      )
      assert.deepStrictEqual(new Set(all), new Set([value]))
      assert.strictEqual(slow.asked, 1)
    }).pipe(Effect.provide(secretsLayer([slow])))
  })

  it.effect("that fails while others wait fails for them too, and is asked by those who come later", () => {
    const failing = counting((asked) =>
      asked === 1 ? Effect.delay(unavailable, 1_000) : Effect.succeed(Redacted.make(value))
    )
    return Effect.gen(function*() {
      const fibers = yield* Effect.fork(
        Effect.all(Array.from({ length: 100 }, () => Effect.exit(Effect.scoped(resolve("cmd:x")))), {
          concurrency: "unbounded"
        })
      )
      yield* TestClock.adjust(1_000)
      assert.isTrue((yield* Fiber.join(fibers)).every(Exit.isFailure))
      assert.strictEqual(failing.asked, 1)
      yield* Effect.scoped(resolve("cmd:x"))
      assert.strictEqual(failing.asked, 2)
    }).pipe(Effect.provide(secretsLayer([failing])))
  })

  it.effect("whose asker goes away is asked by the next one", () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<void>()
      const hanging = counting((times) =>
        times === 1
          ? Effect.zipRight(Deferred.succeed(asked, undefined), Effect.never)
          : Effect.succeed(Redacted.make(value))
      )
      yield* Effect.gen(function*() {
        const first = yield* Effect.fork(Effect.scoped(resolve("cmd:x")))
        yield* Deferred.await(asked)
        const second = yield* Effect.fork(Effect.scoped(Effect.map(resolve("cmd:x"), Redacted.value)))
        yield* Fiber.interrupt(first)
        assert.strictEqual(yield* Fiber.join(second), value)
      }).pipe(Effect.provide(secretsLayer([hanging])))
    }))
})

it.effect("each resolution is observed by name and outcome before the value is there", () => {
  const observed: Array<Observation> = []
  return Effect.gen(function*() {
    yield* Effect.scoped(resolve("memory:key"))
    yield* Effect.scoped(resolve("memory:key"))
    yield* Effect.flip(Effect.scoped(resolve("memory:none")))
    yield* Effect.flip(Effect.scoped(resolve("nobody:x")))
    const of = (provider: string, name: string, outcome: string, reason: string | null = null) => ({
      _tag: "Resolved",
      provider,
      name,
      outcome,
      reason,
      user: null,
      keptBy: null
    })
    assert.deepStrictEqual<ReadonlyArray<unknown>>(observed, [
      of("memory", "key", "ok"),
      of("memory", "key", "ok"),
      of("memory", "none", "SecretNotFound"),
      of("nobody", "x", "SecretUnavailable", "UnknownProvider")
    ])
    assert.notInclude(JSON.stringify(observed), value)
  }).pipe(Effect.provide(secretsLayer([memory({ key: value })], { observed })))
})

it("no schema of the package encodes a value: none has a Redacted in it", () => {
  const schemas: Array<string> = []
  const encodesRedacted = (part: unknown, seen = new Set<unknown>()): boolean => {
    if (typeof part !== "object" || part === null || seen.has(part)) return false
    seen.add(part)
    const annotations = "annotations" in part ? part.annotations as SchemaAST.Annotations : {}
    return JSON.stringify(annotations[SchemaAST.TypeConstructorAnnotationId] ?? null).includes("Redacted") ||
      Object.values(part).some((inner) => encodesRedacted(inner, seen))
  }
  assert.isTrue(encodesRedacted(Schema.Struct({ a: Schema.Array(Schema.Redacted(Schema.String)) }).ast))
  const visit = (module: object, path: string): void => {
    for (const [name, member] of Object.entries(module)) {
      if (Schema.isSchema(member)) {
        schemas.push(`${path}${name}`)
        assert.isFalse(encodesRedacted(member.ast), `${path}${name}`)
      } else if (typeof member === "object" && member !== null && Object.getPrototypeOf(member) === null) {
        visit(member, `${path}${name}.`)
      }
    }
  }
  visit(Api, "")
  assert.includeMembers(schemas, ["SecretRef.SecretRef", "SecretRef.SecretRefText", "SecretRefused", "SecretNotFound"])
})

it.scoped("what is resolved prints as redacted, alone and within other things", () =>
  Effect.gen(function*() {
    const secret = yield* resolve("memory:key")
    const printed = [
      String(secret),
      JSON.stringify({ secret, list: [secret] }),
      Inspectable.toStringUnknown({ secret }),
      Inspectable.format(secret)
    ]
    for (const text of printed) {
      assert.include(text, "<redacted>")
      assert.notInclude(text, value)
    }
  }).pipe(Effect.provide(secretsLayer([memory({ key: value })]))))
