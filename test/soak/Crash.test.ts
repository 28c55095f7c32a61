import { assert, it } from "@effect/vitest"
import { Console, Effect } from "effect"
import { crash } from "../../scripts/soak/Crash.ts"

// The short form of `npm run soak -- crash`; a seed that failed here is repeated there with --seed.
it.live(
  "no acknowledged task is executed again and no event is lost or repeated, whenever the service is killed",
  () =>
    Effect.gen(function*() {
      const seed = Math.floor(Math.random() * 1_000_000)
      const lines: Array<string> = []
      const report = yield* Effect.promise(() => crash({ kills: 25, seed, say: (line) => lines.push(line) }))
      if (report.violations.length > 0) yield* Console.error(lines.join("\n"))
      assert.deepStrictEqual(report.violations, [])
      assert.isAtLeast(report.kills, 25)
      assert.strictEqual(report.tasks, report.runs * 60)
    }),
  180_000
)
