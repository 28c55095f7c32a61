// @effect-diagnostics nodeBuiltinImport:off -- @effect/platform has no name service
import { Context, Effect, Layer } from "effect"
import { lookup } from "node:dns/promises"

/** Names to addresses, for the egress proxy: a sandbox never resolves a name itself. */
export class EgressResolver extends Context.Tag("smithers-orchestrator/sandbox/EgressResolver")<EgressResolver, {
  /** All addresses of a name; none when it has none or nobody could say. */
  readonly resolve: (host: string) => Effect.Effect<ReadonlyArray<string>>
}>() {}

/** As the host resolves names. */
export const layer = Layer.succeed(
  EgressResolver,
  EgressResolver.of({
    resolve: (host) =>
      Effect.tryPromise(() => lookup(host, { all: true, verbatim: true })).pipe(
        Effect.map((found) => found.map(({ address }) => address)),
        Effect.orElseSucceed(() => [])
      )
  })
)
