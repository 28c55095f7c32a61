import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, TestClock } from "effect"
import type { Identity, Policy } from "../../src/cache/index.ts"
import { type Asked, cacheLayer, Output, perform, verdict } from "./support.ts"

const as = (who: Partial<Identity>): Asked => ({ who })
const shown = (output: Schema.Schema.AnyNoContext): Asked => ({ output })
const global: Policy = { scope: "global" }
const globalKey: Policy = { scope: "global", key: "k" }
const run: Policy = { scope: "run" }
const brief: Policy = { ttlMs: 1_000 }
const lenient: Policy = { ttlMs: 10, staleMs: 10 }
const unknownScope: Policy = { scope: "planet" as never }
const textTtl: Policy = { ttlMs: "60000" as never }
const throwing = (): unknown => {
  throw new Error("no inputs")
}
const circular: { self?: unknown } = {}
circular.self = circular
const other: Asked = { nodeId: "other" }
const day = 86_400_000

type Row = readonly [what: string, stored: Policy, asked: Policy, by: Asked, afterMs: number, expected: string]

/** A task of workflow w, run r1, stored its result under one policy; what is asked for after a while under another? */
const table: ReadonlyArray<Row> = [
  // scope × workflow × run × task
  ["default scope, same run", {}, {}, {}, 0, "hit"],
  ["default scope, another run of the workflow", {}, {}, as({ runId: "r2" }), 0, "hit"],
  ["default scope, another workflow", {}, {}, as({ workflow: "v" }), 0, "Absent"],
  ["default scope, another task", {}, {}, other, 0, "Absent"],
  ["default scope, another iteration", {}, {}, { iteration: 3 }, 0, "hit"],
  ["no scope is scope workflow", {}, { scope: "workflow" }, {}, 0, "hit"],
  ["an unknown scope is scope workflow", unknownScope, { scope: "workflow" }, {}, 0, "hit"],
  ["scope run, same run", run, run, {}, 0, "hit"],
  ["scope run, another run", run, run, as({ runId: "r2" }), 0, "Absent"],
  ["scope run, outside of a run", run, run, as({ runId: null }), 0, "NoKey"],
  ["scope run, asked for by scope workflow", run, {}, {}, 0, "Absent"],
  ["scope global, another workflow", global, global, as({ workflow: "v" }), 0, "hit"],
  ["scope global, another run", global, global, as({ runId: "r2" }), 0, "hit"],
  ["scope global, another task", global, global, other, 0, "Absent"],
  ["scope global, another tenant", global, global, as({ tenant: "evil/site" }), 0, "Absent"],
  ["scope workflow, another tenant", {}, {}, as({ tenant: "evil/site" }), 0, "Absent"],
  ["scope global, asked for by scope workflow", global, {}, {}, 0, "Absent"],
  // key
  ["same key, another task", { key: "k" }, { key: "k" }, other, 0, "hit"],
  [
    "same global key, another task and workflow",
    globalKey,
    globalKey,
    { ...other, ...as({ workflow: "v" }) },
    0,
    "hit"
  ],
  ["another key, same task", { key: "k" }, { key: "l" }, {}, 0, "Absent"],
  ["a key that is another task's id", { key: "task" }, {}, {}, 0, "Absent"],
  ["a key that is no plain data", {}, { key: new Map() }, {}, 0, "NoKey"],
  // version
  ["same version", { version: "1" }, { version: "1" }, {}, 0, "hit"],
  ["another version", { version: "1" }, { version: "2" }, {}, 0, "Absent"],
  ["a version, none before", {}, { version: "1" }, {}, 0, "Absent"],
  ["version 1 is not version \"1\"", { version: 1 }, { version: "1" }, {}, 0, "Absent"],
  // input
  ["same input, written in another order", { by: { a: 1, b: [2] } }, { by: { b: [2], a: 1 } }, {}, 0, "hit"],
  ["another input", { by: { a: 1 } }, { by: { a: 2 } }, {}, 0, "Absent"],
  ["an input, none before", {}, { by: { a: 1 } }, {}, 0, "Absent"],
  ["an input that is null, none before", {}, { by: null }, {}, 0, "hit"],
  ["a function of the same input", { by: [1] }, { by: () => [1] }, {}, 0, "hit"],
  ["an input that throws", {}, { by: throwing }, {}, 0, "NoKey"],
  ["an input that contains itself", {}, { by: circular }, {}, 0, "NoKey"],
  ["an input that is a bigint", {}, { by: 1n }, {}, 0, "NoKey"],
  ["another agent", { dependsOn: { agent: "a" } }, { dependsOn: { agent: "b" } }, {}, 0, "Absent"],
  // ttl: the asking one's, counted from the write
  ["no ttl, a day later", {}, {}, {}, day, "hit"],
  ["one millisecond before the ttl is over", brief, brief, {}, 999, "hit"],
  ["when the ttl is over", brief, brief, {}, 1_000, "Expired"],
  ["ttl 0", { ttlMs: 0 }, { ttlMs: 0 }, {}, 0, "Expired"],
  ["a negative ttl", { ttlMs: -1 }, { ttlMs: -1 }, {}, 0, "Expired"],
  ["ttl NaN", { ttlMs: NaN }, { ttlMs: NaN }, {}, 0, "Expired"],
  ["a ttl that is no number", textTtl, textTtl, {}, 0, "Expired"],
  ["an endless ttl", { ttlMs: Infinity }, { ttlMs: Infinity }, {}, day, "hit"],
  ["stored under ttl 0, asked for without one", { ttlMs: 0 }, {}, {}, 0, "hit"],
  ["while a stale result is given out", lenient, lenient, {}, 19, "hit"],
  ["when a stale result is no longer given out", lenient, lenient, {}, 20, "Expired"],
  // output schema
  ["an equal output schema", {}, {}, shown(Schema.Struct({ ...Output.fields })), 0, "hit"],
  [
    "an output schema with another field",
    {},
    {},
    shown(Schema.Struct({ n: Schema.Number, m: Schema.Null })),
    0,
    "Absent"
  ],
  ["an output schema with another filter", {}, {}, shown(Schema.Struct({ n: Schema.Int })), 0, "Absent"]
]

describe("the result of a task, asked for again", () => {
  for (const [what, stored, asked, by, afterMs, expected] of table) {
    it.effect(`${what}: ${expected}`, () =>
      Effect.gen(function*() {
        assert.notStrictEqual(yield* perform({ policy: stored }), "hit")
        yield* TestClock.adjust(afterMs)
        assert.strictEqual(yield* verdict({ ...by, policy: asked }), expected)
      }).pipe(Effect.provide(cacheLayer)))
  }
})
