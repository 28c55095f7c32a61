import { assert, it } from "@effect/vitest"
import { Chunk, Effect, FastCheck, Stream } from "effect"
import { SecretScan } from "../../src/secrets/index.ts"
import { alnum, credentials, draw, guardLayer, watch } from "./support.ts"

const value = draw(alnum, 24, "scan")
const token = credentials("scan")["anthropic-key"]!

const found = <E, R>(texts: Stream.Stream<SecretScan.Scanned, E, R>) =>
  Effect.map(Stream.runCollect(SecretScan.scan(texts)), Chunk.toReadonlyArray)

const row = (rowid: number, column: string, text: string): SecretScan.Scanned => ({
  origin: { _tag: "Row", table: "_smithers_runs", rowid, column },
  text
})

const bytes = (...parts: ReadonlyArray<string | Uint8Array>) =>
  Stream.fromIterable(parts.map((part) => typeof part === "string" ? new TextEncoder().encode(part) : part))

it.scoped("rows with a secret are reported: which row, where in it, which secret, never its value", () =>
  Effect.gen(function*() {
    yield* watch("canary", value)
    const findings = yield* found(Stream.make(
      row(1, "input_json", "{\"a\":1}"),
      row(2, "input_json", JSON.stringify({ config: { keys: ["x", token] }, note: value })),
      row(3, "error_text", `failed with ${Buffer.from(value).toString("hex")}`),
      row(4, "empty", "")
    ))
    const origin = (rowid: number, column: string) => ({ _tag: "Row", table: "_smithers_runs", rowid, column })
    assert.deepStrictEqual<ReadonlyArray<unknown>>(findings, [
      {
        origin: origin(2, "input_json"),
        path: "input_json.config.keys[1]",
        kind: "format",
        found: "anthropic-key"
      },
      { origin: origin(2, "input_json"), path: "input_json.note", kind: "value", found: "test:canary" },
      { origin: origin(3, "error_text"), path: "error_text", kind: "value", found: "test:canary" }
    ])
    const said = JSON.stringify(findings)
    assert.isFalse(said.includes(value) || said.includes(token))
  }).pipe(Effect.provide(guardLayer)))

it.effect("of one text at most 16 findings are reported", () =>
  Effect.gen(function*() {
    const findings = yield* found(Stream.make(row(1, "c", `${token} `.repeat(100)), row(2, "c", token)))
    assert.strictEqual(findings.length, 17)
  }).pipe(Effect.provide(guardLayer)))

it.effect("lines of a log are numbered from 1, however the bytes arrive", () =>
  Effect.gen(function*() {
    const log = `first é\n\nthird ${token}\r\n{"message":"fourth ${token}"}\nlast ${token}`
    const content = new TextEncoder().encode(log)
    const cuts = FastCheck.sample(FastCheck.array(FastCheck.nat(content.length), { maxLength: 8 }), {
      numRuns: 50,
      seed: 2
    })
    for (const cut of cuts) {
      const ends = [...new Set([...cut, content.length])].sort((left, right) => left - right)
      const parts = ends.map((end, index) => content.subarray(ends[index - 1] ?? 0, end))
      const findings = yield* found(SecretScan.lines("a.log", bytes(...parts)))
      assert.deepStrictEqual<ReadonlyArray<unknown>>(
        findings.map(({ origin, path }) => [origin, path]),
        [[3, "line"], [4, "line.message"], [5, "line"]].map((
          [line, path]
        ) => [{ _tag: "Line", file: "a.log", line }, path])
      )
    }
  }).pipe(Effect.provide(guardLayer)))

it.effect("a line without end is looked at in pieces, and a secret at a border is found", () =>
  Effect.gen(function*() {
    for (const before of [1_048_576 - 50, 1_048_576 - 1, 1_048_576, 2_000_000]) {
      const findings = yield* found(
        SecretScan.lines("a.log", bytes("x".repeat(before - 1), " ", token, " ", "y".repeat(1_500_000), "\n", token))
      )
      assert.deepStrictEqual([...new Set(findings.map(({ origin }) => origin._tag === "Line" && origin.line))], [1, 2])
    }
    const pieces = yield* Stream.runFold(
      SecretScan.lines("a.log", Stream.repeatValue(new Uint8Array(65_536).fill(0x61)).pipe(Stream.take(200))),
      0,
      (longest, { text }) => Math.max(longest, text.length)
    )
    assert.isAtMost(pieces, 1_048_576)
  }).pipe(Effect.provide(guardLayer)))
