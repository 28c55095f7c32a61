import { Effect } from "effect"
import { DeadLetters } from "../outbox/index.ts"
import { Authorized, Caller } from "./Caller.ts"
import { DropOutbox, ListOutbox, OutboxRpcs, RetryOutbox } from "./contract.ts"
import { failAs } from "./internal/wireErrors.ts"

/** Answers `OutboxRpcs` from the outbox. */
export const layer = OutboxRpcs.middleware(Authorized).toLayer(Effect.gen(function*() {
  const letters = yield* DeadLetters.DeadLetters
  const listing = failAs(ListOutbox.errorSchema)
  const retrying = failAs(RetryOutbox.errorSchema)
  const dropping = failAs(DropOutbox.errorSchema)
  return {
    "outbox.list": (query) => listing(letters.list(query)),
    "outbox.retry": ({ ids }) =>
      retrying(Effect.flatMap(
        Caller,
        ({ actor }) => Effect.map(letters.retry(ids, actor), (retried) => ({ retried }))
      )),
    "outbox.drop": ({ ids }) =>
      dropping(Effect.flatMap(
        Caller,
        ({ actor }) => Effect.map(letters.drop(ids, actor), (dropped) => ({ dropped }))
      ))
  }
}))
