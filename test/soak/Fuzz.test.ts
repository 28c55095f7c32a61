import { assert, it } from "@effect/vitest"
import { Console, Effect } from "effect"
import { fuzz } from "../../scripts/soak/Fuzz.ts"

// The short form of `npm run soak -- fuzz`; a seed that failed here is repeated there with --seed and --count.
it.live(
  "malformed requests and frames get a 4xx or a typed error, and the service goes on as before",
  () =>
    Effect.gen(function*() {
      const seed = Math.floor(Math.random() * 1_000_000)
      const lines: Array<string> = []
      const report = yield* Effect.promise(() => fuzz({ count: 2_000, seed, say: (line) => lines.push(line) }))
      if (report.violations.length > 0) yield* Console.error(lines.join("\n"))
      assert.deepStrictEqual(report.violations, [])
      assert.strictEqual(report.sent, 2_000)
    }),
  120_000
)
