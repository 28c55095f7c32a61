import { NodeContext } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { Gateway } from "smithers-orchestrator/gateway"
import { makeHome } from "../support/Home.ts"

/** Whoever started the tests may have settings of their own. */
const environment = (home: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const before = process.env
      const others = Object.entries(before).filter(([name]) => !name.startsWith("SMITHERS_"))
      const own = { SMITHERS_HOME: home, SMITHERS_PORT: "0", SMITHERS_WORKFLOWS: "" }
      process.env = { ...Object.fromEntries(others), ...own }
      return before
    }),
    (before) => Effect.sync(() => void (process.env = before))
  )

const page = (url: string) =>
  Effect.promise(async () => {
    const answer = await fetch(url, { redirect: "manual" })
    return { status: answer.status, text: await answer.text() }
  })

const listening = (gateway: Gateway) =>
  Effect.acquireRelease(Effect.promise(() => gateway.listen()), () => Effect.promise(() => gateway.close()))

it.scopedLive("the code of the seed runs as written: a gateway with the console at /console", () =>
  Effect.gen(function*() {
    yield* environment(yield* makeHome)

    const gateway = new Gateway({ ui: true })

    const { url } = yield* listening(gateway)
    assert.include((yield* page(`${url}/console`)).text, "__SMITHERS_GATEWAY_UI__")
    assert.strictEqual((yield* page(`${url}/health`)).status, 200)
    assert.deepStrictEqual(yield* Effect.promise(() => gateway.listen()), yield* Effect.promise(() => gateway.listen()))
    yield* Effect.promise(() => gateway.close())
    assert.isTrue(yield* Effect.promise(() => fetch(`${url}/health`).then(() => false, () => true)))
  }).pipe(Effect.provide(NodeContext.layer)))

it.scopedLive("a gateway without ui has no console", () =>
  Effect.gen(function*() {
    yield* environment(yield* makeHome)
    const { url } = yield* listening(new Gateway())
    for (const path of ["/", "/console", "/console/"]) assert.strictEqual((yield* page(url + path)).status, 404)
  }).pipe(Effect.provide(NodeContext.layer)))

it.scopedLive("a gateway that cannot start says why, and can be started later", () =>
  Effect.gen(function*() {
    const home = yield* makeHome
    yield* environment(home)
    const first = new Gateway({ home })
    const second = new Gateway({ home })
    yield* listening(first)
    const why = yield* Effect.promise(() => second.listen().then(() => "", (cause: unknown) => String(cause)))
    assert.include(why, home)
    yield* Effect.promise(() => first.close())
    const { url } = yield* listening(second)
    assert.strictEqual((yield* page(`${url}/health`)).status, 200)
    const bad = yield* Effect.promise(() =>
      new Gateway({ port: 70_000 }).listen().then(() => "", (cause: unknown) => String(cause))
    )
    assert.include(bad, "PORT")
  }).pipe(Effect.provide(NodeContext.layer)))
