import { Effect, Schema } from "effect"
import { CurrentActor, InvalidInput } from "../../control-plane/index.ts"
import { SecretGuard } from "../../secrets/index.ts"
import { Caller } from "../Caller.ts"
import type { GatewayFailure } from "../contract.ts"
import { type DomainError, failAs } from "./wireErrors.ts"

interface Method<F, I> {
  readonly errorSchema: Schema.Schema<F, I>
}

const textOf = Schema.encodeSync(Schema.parseJson())

/** What is removed answers so. */
export const removed = Effect.as({ removed: true as const })

/**
 * What each method of the control plane goes through, and nothing else stands between it and its service. Every input has
 * the organization it is about in `orgId`, but for the lists of all organizations.
 */
export const planeMethods = Effect.map(SecretGuard.SecretGuard, (guard) => {
  const refuseSecrets = (input: unknown) => {
    const text = textOf(input)
    return guard.suspects(text)
      ? Effect.mapError(
        guard.check({ field: "input", text }),
        ({ path, problem }) => new InvalidInput({ field: path, bound: problem })
      )
      : Effect.void
  }

  const reading = <F extends GatewayFailure, I, Input, A, R>(
    { errorSchema }: Method<F, I>,
    read: (input: Input) => Effect.Effect<A, DomainError, R>
  ) => {
    const failing = failAs(errorSchema)
    return (input: Input) => failing(read(input))
  }

  /** Made by whoever calls; nothing that holds a secret comes to rest. */
  const changing = <F extends GatewayFailure, I, Input, A, R>(
    method: Method<F, I>,
    change: (input: Input) => Effect.Effect<A, DomainError, R>
  ) =>
    reading(
      method,
      (input: Input) =>
        Effect.flatMap(Caller, ({ actor }) =>
          Effect.zipRight(refuseSecrets(input), Effect.provideService(change(input), CurrentActor, actor)))
    )

  return { reading, changing }
})
