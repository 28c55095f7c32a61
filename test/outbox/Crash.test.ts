import { NodeContext } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { startChild } from "../support/Child.ts"
import { makeHome } from "../support/Home.ts"
import { makeReceiver, quantities } from "./support.ts"

const program = "test/outbox/programs/recordAndDeliver.ts"

it.scopedLive("a process that dies between a delivery and its end delivers the same again under the same id", () =>
  Effect.gen(function*() {
    const home = yield* makeHome
    const receiver = yield* makeReceiver
    const first = yield* startChild(program, home, receiver.url, "record")
    const taken = yield* receiver.take
    assert.deepStrictEqual(quantities(taken), [7])
    // It has arrived; whoever sent it never learns so.
    yield* first.child.kill("SIGKILL")
    const second = yield* startChild(program, home, receiver.url)
    const again = yield* receiver.take
    assert.strictEqual(again.headers["smithers-delivery"], taken.headers["smithers-delivery"])
    assert.strictEqual(again.body, taken.body)
    again.answer(200)
    yield* second.child.kill("SIGTERM")
  }).pipe(Effect.provide(NodeContext.layer)))
