import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { bubblewrapWith, run } from "./support.ts"

it.effect("smoke", () =>
  Effect.gen(function*() {
    const t0 = performance.now()
    console.log(yield* run("id; env; ls -la /proc/self/fd / /etc /dev; cat > x; mkfifo f; ls -la; ps aux; ulimit -a", { stdin: "hello" }))
    for (let i = 0; i < 5; i++) { const t = performance.now(); yield* run("true"); console.log(performance.now() - t) }
  }).pipe(Effect.provide(bubblewrapWith())))
