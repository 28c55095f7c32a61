import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect } from "effect"
import { Write } from "../../../src/persistence/index.ts"
import { openHome } from "../../support/Home.ts"

/**
 * Opens the home given as argument, says `ready`, and then writes for ever: 20 callers, each unit one row in two tables.
 * A number is printed when its unit has been acknowledged. With `idle` as second argument it only
 * holds the home open.
 */
const home = process.argv[2]!
const idle = process.argv[3] === "idle"

const program = Effect.gen(function*() {
  const persistence = yield* openHome(home)
  yield* persistence.write(Write.all([
    Write.run("CREATE TABLE IF NOT EXISTS a (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT", []),
    Write.run("CREATE TABLE IF NOT EXISTS b (id INTEGER PRIMARY KEY REFERENCES a (id)) STRICT", [])
  ]))
  const [row] = yield* persistence.write(Write.rows("SELECT COALESCE(MAX(id), 0) AS last FROM a", []))
  let id = Number(row!["last"])
  yield* Console.log("ready")
  if (idle) return yield* Effect.never
  const writeOn = Effect.suspend(() => {
    const mine = ++id
    return Effect.zipRight(
      persistence.write(Write.all([
        Write.run("INSERT INTO a (id, text) VALUES (?, ?)", [mine, "x".repeat(mine % 500)]),
        Write.run("INSERT INTO b (id) VALUES (?)", [mine])
      ])),
      Console.log(String(mine))
    )
  })
  yield* Effect.all(Array.from({ length: 20 }, () => Effect.forever(writeOn)), { concurrency: "unbounded" })
})

// @effect-diagnostics-next-line effectRun:off -- the entry of a process that tests start and kill
NodeRuntime.runMain(Effect.scoped(program))
