import { NodeContext } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { Gateway, type GatewayOptions } from "smithers-orchestrator/gateway"
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

it.scopedLive("a gateway with a ui of its own has it at its path, with its title and props, and no console", () =>
  Effect.gen(function*() {
    yield* environment(yield* makeHome)
    const entry = "test/console/programs/ui/main.js"
    const gateway = new Gateway({ ui: { entry, path: "/ops", title: "Acme", props: { greeting: "Hello, Acme" } } })
    const { console, url } = yield* listening(gateway)
    assert.strictEqual(console, `${url}/ops`)
    const { status, text } = yield* page(`${url}/ops`)
    assert.strictEqual(status, 200)
    for (const part of ["<title>Acme</title>", "{\"greeting\":\"Hello, Acme\"}", "/ops/__smithers_ui/main.js"]) {
      assert.include(text, part)
    }
    assert.include((yield* page(`${url}/ops/__smithers_ui/rpc.mjs`)).text, "rpcPath")
    assert.strictEqual((yield* page(`${url}/console`)).status, 404)
  }).pipe(Effect.provide(NodeContext.layer)))

it.scopedLive("a ui that is not acceptable is refused with its field and bound; without a path it is at /console", () =>
  Effect.gen(function*() {
    yield* environment(yield* makeHome)
    const entry = "test/console/programs/ui/main.js"
    const refused = (ui: NonNullable<GatewayOptions["ui"]>) =>
      Effect.promise(() => new Gateway({ ui }).listen().then(() => "", (cause: unknown) => String(cause)))
    assert.match(yield* refused({ entry, path: "/v1" }), /UI_PATH.*must be 1–8 segments.*at most 128 characters/s)
    assert.match(yield* refused({ entry, title: "" }), /UI_TITLE.*must have 1–200 characters/s)
    assert.match(yield* refused({ entry, props: () => 1 }), /UI_PROPS.*must be a JSON value of at most 65536 bytes/s)
    assert.match(yield* refused({ entry: "test/nowhere.js" }), /ui\.entry: .*nowhere\.js/s)
    const { url } = yield* listening(new Gateway({ ui: { entry } }))
    assert.include((yield* page(`${url}/console`)).text, "<title>Smithers</title>")
    assert.notInclude((yield* page(`${url}/console`)).text, "operator")
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
