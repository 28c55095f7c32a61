import { assert, describe, it } from "@effect/vitest"
import {
  Arbitrary,
  Cause,
  Chunk,
  Data,
  Effect,
  Exit,
  FastCheck,
  FiberId,
  HashMap,
  Inspectable,
  Layer,
  Logger,
  Option,
  Redacted,
  Schema,
  Tracer
} from "effect"
import { RedactedLogger, RedactedTracer, Redaction, SecretGuard } from "../../src/secrets/index.ts"
import { alnum, credentials, draw, guardLayer, watch } from "./support.ts"

const value = draw(alnum, 24, "redaction")
const token = credentials("redaction")["github-token"]!

class Failed extends Schema.TaggedError<Failed>()("Failed", { id: Schema.String, detail: Schema.String }) {
  override get message(): string {
    return `it failed: ${this.detail}`
  }
}
class Plain extends Data.TaggedError("Plain")<{ readonly headers: Readonly<Record<string, string>> }> {}

const leaks = (text: string): boolean => text.includes(value) || text.includes(token)

describe("a text", () => {
  const texts: ReadonlyArray<readonly [string, string]> = [
    [`Authorization: Bearer ${value}`, "Authorization: [redacted]"],
    [`postgres://app:${value}@db:5432/x`, "postgres://[redacted]@db:5432/x"],
    [`a ${token} b ${token}`, "a [redacted] b [redacted]"],
    ["nothing of the kind", "nothing of the kind"],
    ["", ""]
  ]
  for (const [text, clean] of texts) {
    it(`is cleared of what looks like a credential: ${clean}`, () => assert.strictEqual(Redaction.redact(text), clean))
  }

  it.scoped("is cleared of values, also where they touch and overlap", () =>
    Effect.gen(function*() {
      const guard = yield* SecretGuard.SecretGuard
      yield* watch("a", "abcdefghijkl")
      yield* watch("b", "ghijklmnopqr")
      assert.strictEqual(guard.redact("<abcdefghijklmnopqr>"), "<[redacted]>")
      assert.strictEqual(guard.redact("<abcdefghijklghijklmnopqr>"), "<[redacted][redacted]>")
      assert.strictEqual(guard.redact(`abcdefghijkl ${token}`), "[redacted] [redacted]")
      assert.strictEqual(guard.redact("abcdefghijk"), "abcdefghijk")
    }).pipe(Effect.provide(guardLayer)))

  it("is cleared once: clearing it again changes nothing", () => {
    const parts = FastCheck.array(
      FastCheck.oneof(
        FastCheck.constantFrom(...Object.values(credentials("twice")), "Bearer ", "://a:b@"),
        FastCheck.string()
      ),
      { maxLength: 6 }
    )
    FastCheck.assert(
      FastCheck.property(parts, (some) => {
        const once = Redaction.redact(some.join(" "))
        assert.strictEqual(Redaction.redact(once), once)
      }),
      { seed: 4 }
    )
  })
})

describe("an error", () => {
  it("is the same one when there is nothing to redact", () => {
    const error = new Failed({ id: "run-1", detail: "no such file" })
    assert.strictEqual(Redaction.redactValue(error), error)
    const cause = Cause.parallel(Cause.fail(error), Cause.interrupt(FiberId.none))
    assert.isTrue(Cause.isParallelType(Redaction.redactCause(cause)))
    assert.strictEqual(Option.getOrThrow(Cause.failureOption(Redaction.redactCause(cause))), error)
  })

  it("keeps its class, its ids and the shape of its cause", () => {
    const error = new Failed({ id: "run-1", detail: `GET ?key=${token}` })
    const clean = Redaction.redactValue(error)
    assert.instanceOf(clean, Failed)
    assert.strictEqual(clean.id, "run-1")
    assert.strictEqual(clean._tag, "Failed")
    assert.strictEqual(clean.message, "it failed: GET ?key=[redacted]")
    const cause = Cause.sequential(
      Cause.fail(error),
      Cause.parallel(
        Cause.die(new Error(`outer`, { cause: new TypeError(token) })),
        Cause.fail(new Plain({ headers: { authorization: `Bearer ${token}` } }))
      )
    )
    const shown = Redaction.redactCause(cause)
    assert.isTrue(leaks(Cause.pretty(cause, { renderErrorCause: true })))
    assert.isFalse(leaks(Cause.pretty(shown, { renderErrorCause: true }) + Inspectable.toStringUnknown(shown)))
    assert.strictEqual(Chunk.size(Cause.failures(shown)), 2)
    assert.instanceOf([...Cause.defects(shown)][0], Error)
  })

  it.effect("keeps the spans that it was raised in", () =>
    Effect.gen(function*() {
      const cause = yield* new Plain({ headers: { token } }).pipe(
        Effect.withSpan("within"),
        Effect.sandbox,
        Effect.flip
      )
      const shown = Cause.pretty(Redaction.redactCause(cause)) +
        Inspectable.toStringUnknown(Redaction.redactCause(cause))
      assert.include(shown, "at within")
      assert.isFalse(leaks(shown))
    }))
})

it("a value is redacted whatever it is made of, and the same when there is nothing to redact", () => {
  const clean = { a: [1, null, undefined, true, 1n, { b: new Date(0) }], when: Symbol("s"), f: () => token }
  assert.strictEqual(Redaction.redactValue(clean), clean)
  const circular: Record<string, unknown> = { token }
  circular["self"] = circular
  const values: ReadonlyArray<unknown> = [
    token,
    [token],
    { [token]: 1 },
    { a: { b: [`x ${token}`] } },
    new Map([["k", token]]),
    new Set([token]),
    HashMap.make(["k", token]),
    Option.some(token),
    Chunk.of(token),
    Exit.fail(token),
    new URL(`https://user:${value}@host/`),
    new (class Holder {
      readonly held = token
    })(),
    circular,
    Array.from({ length: 40 }).reduce<unknown>((inner) => [inner], token)
  ]
  for (const given of values) {
    const shown = Redaction.redactValue(given)
    assert.isFalse(
      leaks(Inspectable.toStringUnknown(shown) + JSON.stringify(shown)),
      Inspectable.toStringUnknown(given)
    )
  }
  const secret = Redacted.make(token)
  assert.strictEqual(Redaction.redactValue(secret), secret)
})

describe("the logs", () => {
  it.scoped("have no secret in message, annotations, spans and causes, whatever the logger", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const into = (logger: Logger.Logger<unknown, string>) =>
        Logger.map(logger, (line) => {
          lines.push(line)
        })
      const loggers = Layer.mergeAll(
        Logger.replace(Logger.defaultLogger, into(Logger.jsonLogger)),
        Logger.add(into(Logger.logfmtLogger)),
        Logger.add(into(Logger.stringLogger))
      )
      yield* watch("value", value)
      const say = Effect.logError(`password=${value}`, { token, nested: [value] }, new Error(token)).pipe(
        Effect.annotateLogs({ authorization: token, runId: "run-1", [value]: { deep: value } }),
        Effect.withLogSpan(`span ${value}`),
        Effect.zipRight(Effect.logError("cause", Cause.fail(new Failed({ id: "1", detail: value }))))
      )
      yield* Effect.provide(say, loggers)
      assert.strictEqual(lines.length, 6)
      assert.isTrue(lines.some(leaks))
      lines.length = 0
      yield* Effect.provide(say, Layer.provideMerge(RedactedLogger.layer, loggers))
      assert.strictEqual(lines.length, 6)
      for (const line of lines) {
        assert.isFalse(leaks(line), line)
        assert.include(line, "[redacted]")
      }
      assert.isTrue(lines.some((line) => line.includes("run-1")))
    }).pipe(Effect.provide(guardLayer)))
})

describe("the spans", () => {
  it.scoped("have no secret in name, attributes, events, links and errors, and stay the tracer's own", () =>
    Effect.gen(function*() {
      const spans: Array<Tracer.Span> = []
      const said: Array<unknown> = []
      class OwnSpan {
        readonly _tag = "Span"
        readonly spanId = `${spans.length}`
        readonly traceId = "trace"
        readonly sampled = true
        readonly attributes = new Map<string, unknown>()
        readonly links: Array<Tracer.SpanLink> = []
        status: Tracer.SpanStatus = { _tag: "Started", startTime: 0n }
        readonly name: string
        readonly parent: Option.Option<Tracer.AnySpan>
        readonly context: Tracer.Span["context"]
        readonly kind: Tracer.SpanKind
        constructor(
          name: string,
          parent: Option.Option<Tracer.AnySpan>,
          context: Tracer.Span["context"],
          kind: Tracer.SpanKind
        ) {
          this.name = name
          this.parent = parent
          this.context = context
          this.kind = kind
          said.push(name)
        }
        end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void {
          said.push(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : exit.value)
          this.status = { _tag: "Ended", startTime: 0n, endTime, exit }
        }
        attribute(key: string, attribute: unknown): void {
          said.push(key, attribute)
          this.attributes.set(key, attribute)
        }
        event(name: string, _: bigint, attributes?: Record<string, unknown>): void {
          said.push(name, attributes)
        }
        addLinks(links: ReadonlyArray<Tracer.SpanLink>): void {
          said.push(links.map(({ attributes }) => attributes))
        }
      }
      const tracer = Tracer.make({
        span: (name, parent, context, links, _, kind, options) => {
          const span = new OwnSpan(name, parent, context, kind)
          said.push(options?.attributes, links.map(({ attributes }) => attributes))
          spans.push(span)
          return span
        },
        context: (f) => f()
      })
      yield* watch("value", value)
      const work = Effect.gen(function*() {
        yield* Effect.annotateCurrentSpan({ [value]: token, runId: "run-1" })
        const span = yield* Effect.currentSpan
        span.event(`event ${token}`, 0n, { token })
        span.addLinks([{ _tag: "SpanLink", span, attributes: { token } }])
        assert.instanceOf(span, OwnSpan)
        return yield* new Failed({ id: "1", detail: value })
      }).pipe(Effect.withSpan(`inner ${value}`, { attributes: { token } }), Effect.withSpan("outer"), Effect.exit)
      yield* Effect.provide(work, Layer.provide(RedactedTracer.layer, Layer.setTracer(tracer)))
      const all = Inspectable.toStringUnknown(said)
      assert.isFalse(leaks(all), all)
      assert.include(all, "it failed: [redacted]")
      assert.include(all, "run-1")
      const inner = spans.find(({ name }) => name.startsWith("inner"))!
      assert.strictEqual(Option.getOrThrow(inner.parent).spanId, spans.find(({ name }) => name === "outer")!.spanId)
      assert.strictEqual(inner.status._tag, "Ended")
    }).pipe(Effect.provide(guardLayer)))
})

describe("a value with a schema", () => {
  const Secret = Schema.String.pipe(Redaction.sensitive)
  class User extends Schema.Class<User>("User")({ id: Schema.String, password: Secret }) {}
  const cases: ReadonlyArray<readonly [string, Schema.Schema.All, unknown, unknown]> = [
    ["a member", Schema.Struct({ a: Secret, b: Schema.String }), { a: "x", b: "y" }, { a: "[redacted]", b: "y" }],
    ["all of it", Schema.Struct({ a: Schema.String }).pipe(Redaction.sensitive), { a: "x" }, "[redacted]"],
    ["what decodes to Redacted", Schema.Struct({ a: Schema.Redacted(Schema.String) }), { a: "x" }, { a: "[redacted]" }],
    ["in a class", User, { id: "1", password: "x" }, { id: "1", password: "[redacted]" }],
    ["in a list", Schema.Array(User), [{ id: "1", password: "x" }], [{ id: "1", password: "[redacted]" }]],
    ["in a tuple", Schema.Tuple(Schema.String, Secret), ["a", "x"], ["a", "[redacted]"]],
    ["in a record", Schema.Record({ key: Schema.String, value: Secret }), { a: "x" }, { a: "[redacted]" }],
    ["optional", Schema.Struct({ a: Schema.optional(Secret) }), { a: "x" }, { a: "[redacted]" }],
    ["null instead", Schema.Struct({ a: Schema.NullOr(Secret) }), { a: null }, { a: null }],
    ["filtered", Schema.Struct({ a: Secret.pipe(Schema.minLength(1)) }), { a: "x" }, { a: "[redacted]" }],
    ["of no member of the union", Schema.Struct({ a: Schema.NullOr(Secret) }), { a: 7 }, { a: "[redacted]" }],
    ["nothing", Schema.Struct({ a: Schema.String }), { a: "x", more: [1] }, { a: "x", more: [1] }]
  ]
  for (const [name, schema, encoded, shown] of cases) {
    it(`is shown without what the schema marks: ${name}`, () => {
      assert.deepStrictEqual(Redaction.redactSensitive(schema, encoded), shown)
    })
  }

  it.prop("never shows a sensitive part", [Arbitrary.make(Schema.Array(User))], ([users]) => {
    const encoded = Schema.encodeSync(Schema.Array(User))(users)
    const shown = Redaction.redactSensitive(Schema.Array(User), encoded) as ReadonlyArray<typeof User.Encoded>
    assert.deepStrictEqual(shown.map(({ password }) => password), users.map(() => "[redacted]"))
    assert.deepStrictEqual(shown.map(({ id }) => id), users.map(({ id }) => id))
  })
})
