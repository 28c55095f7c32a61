import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Exit, FastCheck, Layer, Redacted, Schema, Scope } from "effect"
import { type Observation, SecretGuard, SecretObserver, Secrets, SecretsConfig } from "../../src/secrets/index.ts"
import { alnum, credentials, draw, guardLayer, refusal, refusalOf, watch } from "./support.ts"

const canary = "c4n4ry/Wert+\"mit\" \\Straße\n§100%&=?"

/** How the canary could come to stand in a stored text, by programs that mean no harm. */
const encodings: Readonly<Record<string, (text: string) => string>> = {
  "as it is": (text) => text,
  "within prose": (text) => `the password is ${text}, keep it`,
  "as json within json": (text) => JSON.stringify({ text }),
  "as json within json within json": (text) => JSON.stringify([JSON.stringify({ text })]),
  "base64": (text) => Buffer.from(text).toString("base64"),
  "base64 after one byte": (text) => Buffer.from(`:${text}`).toString("base64"),
  "base64 after two bytes and before others": (text) => Buffer.from(`u:${text}...`).toString("base64"),
  "basic authentication": (text) => `Basic ${Buffer.from(`somebody:${text}`).toString("base64")}`,
  "base64url": (text) => Buffer.from(`>>>${text}`).toString("base64url"),
  "hex": (text) => Buffer.from(text).toString("hex"),
  "hex in capitals": (text) => Buffer.from(text).toString("hex").toUpperCase(),
  "a component of a url": (text) => `https://h/?q=${encodeURIComponent(text)}`,
  "a url": (text) => encodeURI(`https://h/${text}`),
  "a form": (text) => new URLSearchParams({ text }).toString(),
  "a url in small letters": (text) => encodeURIComponent(text).replaceAll(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())
}

describe("a value that was resolved in this process", () => {
  for (const [name, encode] of Object.entries(encodings)) {
    it.scoped(`is refused and redacted ${name}`, () =>
      Effect.gen(function*() {
        const guard = yield* SecretGuard.SecretGuard
        const text = encode(canary)
        assert.isNull(yield* refusal({ text }), "before it was resolved")
        yield* watch("canary", canary)
        assert.strictEqual(yield* refusal({ config: { apiKey: text } }), "input.config.apiKey: test:canary")
        assert.strictEqual(yield* refusal(text), "input: test:canary")
        const inJson = JSON.stringify({ text })
        for (const shown of [guard.redact(text), guard.redact(inJson)]) {
          assert.include(shown, "[redacted]")
          assert.isEmpty(guard.findings({ field: "shown", text: shown }, 1))
        }
      }).pipe(Effect.provide(guardLayer)))
  }

  it.scoped("is refused when base64 is wrapped, wherever the lines end", () =>
    Effect.gen(function*() {
      const guard = yield* SecretGuard.SecretGuard
      const long = draw(alnum, 93, "long")
      yield* watch("long", long)
      for (let before = 0; before < 80; before++) {
        for (const width of [64, 76]) {
          const whole = Buffer.from("x".repeat(before) + long).toString("base64")
          const wrapped = whole.replaceAll(new RegExp(`.{${width}}`, "g"), (line) => `${line}\n`)
          assert.strictEqual(yield* refusalOf(guard, JSON.stringify(wrapped)), "input: test:long")
        }
      }
    }).pipe(Effect.provide(guardLayer)))

  it.scoped("is refused when its escapes are other ones than ours", () =>
    Effect.gen(function*() {
      const guard = yield* SecretGuard.SecretGuard
      yield* watch("canary", canary)
      const escape = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`
      const ways = {
        "every character": Array.from(canary, escape).join(""),
        "in capitals": Array.from(canary, (char) => escape(char).toUpperCase().replace("U", "u")).join(""),
        "what is not ASCII": JSON.stringify(canary).slice(1, -1).replaceAll(/[^\0-\x7f]/g, escape),
        "slashes": JSON.stringify(canary).slice(1, -1).replaceAll("/", "\\/"),
        "line ends": JSON.stringify(canary).slice(1, -1).replaceAll("\\n", "\\u000a")
      }
      for (const [name, text] of Object.entries(ways)) {
        assert.deepStrictEqual(JSON.parse(`"${text}"`), canary)
        const payload = `{"\\u0061":[1,"${text}"]}`
        assert.strictEqual(yield* refusalOf(guard, payload), "input.a[1]: test:canary", name)
        assert.isEmpty(guard.findings({ field: "shown", text: guard.redact(payload) }, 1))
      }
    }).pipe(Effect.provide(guardLayer)))

  it.scoped("is found whatever it is and whatever stands around it", () =>
    Effect.gen(function*() {
      const guard = yield* SecretGuard.SecretGuard
      const Value = Schema.String.pipe(Schema.minLength(8), Schema.maxLength(40))
      const arbitrary = FastCheck.record({
        value: Arbitrary.make(Value).filter((text) => !/\p{Cs}|\0/u.test(text)),
        before: FastCheck.fullUnicodeString({ maxLength: 30 }),
        after: FastCheck.fullUnicodeString({ maxLength: 30 }),
        encoding: FastCheck.constantFrom(...Object.keys(encodings))
      })
      for (const { after, before, encoding, value } of FastCheck.sample(arbitrary, { numRuns: 600, seed: 3 })) {
        const text = JSON.stringify([before, before + encodings[encoding]!(value) + after])
        yield* Effect.scoped(Effect.gen(function*() {
          yield* watch("drawn", value)
          assert.include(
            guard.findings({ field: "x", text }, 1_000).map(({ found }) => found),
            "test:drawn",
            `${encoding} of ${JSON.stringify(value)}`
          )
          assert.notInclude(guard.redact(before + value + after), value)
        }))
      }
    }).pipe(Effect.provide(guardLayer)))

  it.scoped("is looked for among many that are alike", () =>
    Effect.gen(function*() {
      const guard = yield* SecretGuard.SecretGuard
      const values = Array.from({ length: 200 }, (_, index) => `same-prefix-${draw(alnum, 12, `${index}`)}-same-suffix`)
      for (const [index, value] of values.entries()) yield* watch(`v${index}`, value)
      for (const [index, value] of values.entries()) {
        assert.strictEqual(yield* refusalOf(guard, JSON.stringify({ value })), `input.value: test:v${index}`)
      }
      assert.isNull(yield* refusalOf(guard, JSON.stringify("same-prefix-same-suffix".repeat(50))))
    }).pipe(Effect.provide(guardLayer)))

  it.scoped("is a secret in its secret members when it is a document", () =>
    Effect.gen(function*() {
      const document = { username: "app-service", password: draw(alnum, 16, "db"), host: "db.example.com", port: 5_432 }
      yield* watch("db", JSON.stringify(document, null, 2))
      assert.strictEqual(yield* refusal({ url: `postgres://x:${document.password}@h` }), "input.url: test:db")
      assert.strictEqual(yield* refusal({ whole: document }), "input.whole.password: test:db")
      assert.isNull(yield* refusal({ user: document.username, host: document.host }))
    }).pipe(Effect.provide(guardLayer)))

  it.effect("stays known after the scope in which it was used", () =>
    Effect.gen(function*() {
      yield* Effect.scoped(watch("gone", canary))
      assert.strictEqual(yield* refusal([canary]), "input[0]: test:gone")
    }).pipe(Effect.provide(guardLayer)))

  it.effect("is forgotten for another one when it is out of use for longest; one in use never is", () =>
    Effect.gen(function*() {
      const guard = yield* SecretGuard.SecretGuard
      const value = (name: string) => draw(alnum, 20, name)
      const known = (name: string) => Effect.map(refusalOf(guard, JSON.stringify(value(name))), (text) => text !== null)
      const used = yield* Scope.make()
      yield* Scope.extend(watch("used", value("used")), used)
      yield* Effect.scoped(watch("a", value("a")))
      yield* Effect.scoped(watch("b", value("b")))
      yield* Effect.scoped(watch("a", value("a")))
      yield* Effect.scoped(watch("c", value("c")))
      assert.deepStrictEqual(yield* Effect.forEach(["used", "a", "b", "c"], known), [true, true, false, true])
      yield* Scope.extend(watch("d", value("d")), used)
      yield* Scope.extend(watch("e", value("e")), used)
      const error = yield* Effect.flip(Scope.extend(watch("f", value("f")), used))
      assert.strictEqual(error.reason, "TooMany")
      assert.notInclude(JSON.stringify(error), value("f"))
      yield* Scope.close(used, Exit.void)
      yield* Effect.scoped(watch("f", value("f")))
      assert.isTrue(yield* known("f"))
    }).pipe(
      Effect.provide(
        Layer.provide(
          guardLayer,
          Layer.succeed(SecretsConfig.SecretsConfig, { ...SecretsConfig.defaults, maxValues: 3 })
        )
      )
    ))

  it.scoped("must be long enough to be told from ordinary text", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(watch("short", "1234567"))
      assert.strictEqual(error.reason, "TooShort")
      yield* watch("long enough", "12345678")
    }).pipe(Effect.provide(guardLayer)))
})

const token = credentials("guard")["github-token"]!

describe("the path of a refusal", () => {
  const cases: ReadonlyArray<readonly [string, unknown]> = [
    ["input", token],
    ["input[0]", [token]],
    ["input.a.b[2].c", { a: { b: [1, "x", { c: token }] } }],
    ["input[\"a b\"][\"\"]", { "a b": { "": token } }],
    ["input[\"ключ\"]", { ключ: token }],
    ["input.after", {
      "\"": "\\",
      "]": "}",
      "{": ["[", ",", ":"],
      "n": null,
      "t": [true, [], {}, -1.5e3],
      "after": token
    }],
    ["input.a (a key)", { a: { [token]: 1 } }],
    ["input (a key)", { [token]: token }],
    ["input.list[1][1].x", { list: [[{}, { x: 1 }], [{ x: 2 }, { x: token }]] }]
  ]
  for (const [path, value] of cases) {
    it.effect(`is ${path}`, () =>
      Effect.gen(function*() {
        const guard = yield* SecretGuard.SecretGuard
        assert.strictEqual(yield* refusal(value), `${path}: github-token`)
        assert.strictEqual(
          yield* refusalOf(guard, JSON.stringify(value, null, 2)),
          `${path}: github-token`,
          "with white space"
        )
      }).pipe(Effect.provide(guardLayer)))
  }

  it.effect("quotes no key that is a secret itself, and no more of a long one than its beginning", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        yield* refusal({ [`x-${token}`]: 1, a: { [token]: [token] } }),
        "input.a (a key): github-token"
      )
      const deep = yield* refusal({ ["k".repeat(500)]: [{ [`my ${token}`]: 1 }] })
      assert.strictEqual(
        deep,
        `input.${"k".repeat(63)}…[0] (a key): github-token`.replace(".kkk", "[\"kkk").replace("…[", "…\"][")
      )
    }).pipe(Effect.provide(guardLayer)))

  it.effect("is the root for a text that is no JSON", () =>
    Effect.gen(function*() {
      const guard = yield* SecretGuard.SecretGuard
      assert.strictEqual(yield* refusalOf(guard, `${token} {"a":`), "input: github-token")
    }).pipe(Effect.provide(guardLayer)))

  it.effect("is the one that JSON has for whatever value holds the secret", () =>
    Effect.gen(function*() {
      const guard = yield* SecretGuard.SecretGuard
      const values = FastCheck.sample(FastCheck.jsonValue({ maxDepth: 4 }), { numRuns: 200, seed: 9 })
      for (const value of values) {
        const planted: Array<string> = []
        const plant = (part: unknown, path: string): unknown => {
          if (typeof part === "string") {
            planted.push(path)
            return token
          }
          if (Array.isArray(part)) return part.map((item, index) => plant(item, `${path}[${index}]`))
          if (typeof part === "object" && part !== null) {
            return Object.fromEntries(
              Object.entries(part).map(([, item], index) => [`k${index}`, plant(item, `${path}.k${index}`)])
            )
          }
          return part
        }
        const text = JSON.stringify(plant(value, "x"))
        assert.deepStrictEqual(guard.findings({ field: "x", text }, 10_000).map(({ path }) => path), planted)
      }
    }).pipe(Effect.provide(guardLayer)))

  it.effect("is in the message, with the name of what was found; the value is nowhere in the error", () =>
    Effect.gen(function*() {
      const guard = yield* SecretGuard.SecretGuard
      const error = yield* Effect.flip(guard.check({ field: "output", text: JSON.stringify({ key: token }) }))
      assert.strictEqual(
        error.message,
        "output.key holds a credential (github-token), which is never stored: pass a secret reference, or mark the field with Secrets.allow"
      )
      assert.notInclude(JSON.stringify(error) + String(error) + String(error.stack), token)
    }).pipe(Effect.provide(guardLayer)))
})

describe("a field that may hold a secret", () => {
  const observed: Array<Observation> = []
  const observing = Layer.provide(
    guardLayer,
    Layer.succeed(SecretObserver, { observe: (observation) => Effect.sync(() => observed.push(observation)) })
  )
  const marked = Schema.String.pipe(Secrets.allow("a public test key"))
  class Config extends Schema.Class<Config>("Config")({ key: marked, other: Schema.String }) {}
  interface Tree {
    readonly key?: string | undefined
    readonly children: ReadonlyArray<Tree>
  }
  const Tree: Schema.Schema<Tree> = Schema.Struct({
    key: Schema.optional(marked),
    children: Schema.Array(Schema.suspend(() => Tree))
  })

  const cases: ReadonlyArray<readonly [string, Schema.Schema.All, unknown, string | null]> = [
    ["the value itself", marked, token, null],
    ["a member", Schema.Struct({ key: marked }), { key: token }, null],
    ["an optional member", Schema.Struct({ key: Schema.optional(marked) }), { key: token }, null],
    ["another member", Schema.Struct({ key: marked, b: Schema.String }), { key: token, b: token }, "input.b"],
    ["all within", Schema.Struct({ a: Schema.Array(Schema.String) }).pipe(Secrets.allow("all")), { a: [token] }, null],
    ["a key", Schema.Record({ key: Schema.String, value: marked }), { [token]: "x" }, "input (a key)"],
    ["a value of a record", Schema.Record({ key: Schema.String, value: marked }), { x: token }, null],
    ["an element", Schema.Array(marked), ["x", token], null],
    ["an element of a tuple", Schema.Tuple(Schema.String, marked), [token, "x"], "input[0]"],
    ["the rest of a tuple", Schema.Tuple([Schema.Number], marked), [1, token, token], null],
    ["nullable", Schema.Struct({ key: Schema.NullOr(marked) }), { key: token }, null],
    ["filtered and branded", marked.pipe(Schema.minLength(3), Schema.brand("Key")), token, null],
    ["renamed", Schema.Struct({ key: Schema.propertySignature(marked).pipe(Schema.fromKey("k")) }), { k: token }, null],
    ["with a default", Schema.Struct({ k: Schema.optionalWith(marked, { default: () => "" }) }), { k: token }, null],
    ["of a class", Config, { key: token, other: "x" }, null],
    ["beside it in a class", Config, { key: "x", other: token }, "input.other"],
    ["in a tree", Tree, { children: [{ key: token, children: [] }] }, null],
    [
      "in the member of a union that the value is of",
      Schema.Union(
        Schema.TaggedStruct("A", { key: marked }),
        Schema.TaggedStruct("B", { key: Schema.String })
      ),
      [{ _tag: "A", key: token }, { _tag: "B", key: token }],
      "input[1].key"
    ],
    ["what the schema does not know", Schema.Struct({ key: marked }), { key: "x", more: token }, "input.more"],
    ["what does not fit the schema", Schema.Struct({ key: marked }), [token], "input[0]"],
    ["nothing", Schema.Unknown, { key: token }, "input.key"]
  ]
  for (const [name, schema, value, path] of cases) {
    it.effect(`${path === null ? "is stored" : "is refused beside it"}: ${name}`, () =>
      Effect.gen(function*() {
        observed.length = 0
        const given = name.startsWith("in the member") ? Schema.Array(schema as Schema.Schema.Any) : schema
        assert.strictEqual(yield* refusal(value, given), path === null ? null : `${path}: github-token`)
        assert.isTrue(observed.every(({ _tag }) => _tag === (path === null ? "Allowed" : "Refused")))
        assert.isNotEmpty(observed)
      }).pipe(Effect.provide(observing)))
  }

  it.scoped("is observed by path, name and reason, never by value", () =>
    Effect.gen(function*() {
      observed.length = 0
      yield* watch("canary", canary)
      yield* refusal({ key: `${token} ${canary}` }, Schema.Struct({ key: marked }))
      yield* refusal({ other: token }, Schema.Struct({ key: marked }))
      assert.deepStrictEqual(observed, [
        { _tag: "Allowed", path: "input.key", kind: "format", found: "github-token", reason: "a public test key" },
        { _tag: "Allowed", path: "input.key", kind: "value", found: "test:canary", reason: "a public test key" },
        { _tag: "Refused", path: "input.other", kind: "format", found: "github-token" }
      ])
    }).pipe(Effect.provide(observing)))

  it.effect("holds at most 999 of them, and observes 16", () =>
    Effect.gen(function*() {
      observed.length = 0
      assert.isNull(yield* refusal(Array.from({ length: 999 }, () => token), Schema.Array(marked)))
      assert.strictEqual(observed.length, 16)
      const many = Array.from({ length: 1_000 }, () => token)
      assert.strictEqual(yield* refusal(many, Schema.Array(marked)), "input[999]: github-token")
    }).pipe(Effect.provide(observing)))
})

it("a Redacted says nothing of its value, however it is printed", () => {
  const redacted = Redacted.make(canary)
  assert.strictEqual(JSON.stringify({ redacted }), `{"redacted":"<redacted>"}`)
  assert.strictEqual(String(redacted), "<redacted>")
})
