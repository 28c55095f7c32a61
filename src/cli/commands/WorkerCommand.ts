import { Command, Options } from "@effect/cli"
import { FetchHttpClient, FileSystem } from "@effect/platform"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import { Effect, Layer, Option, Redacted } from "effect"
import { type GatewayClient, make as makeClient } from "../../gateway/client.ts"
import { CommandFailed } from "../CommandFailed.ts"
import { parseUrl } from "../Connection.ts"
import { ConnectionConfig, layerConfig } from "../ConnectionConfig.ts"
import type { Output } from "../Output.ts"
import { local, provideOutput } from "../SharedOptions.ts"
import type { WorkerOptions } from "../Worker.ts"

/** The work itself, which comes with the sandboxes: the composition root loads it when it is asked for. */
export type Work<E, R> = Effect.Effect<
  (client: GatewayClient, options: WorkerOptions) => Effect.Effect<void, E, R | Output>
>

const missing = (code: string, field: string, message: string, fix: string) =>
  new CommandFailed({ outcome: "usage", code, field, message, fix })

/** A worker has neither a home nor a database of the service: what it signs in with is given to it alone. */
const clientOf = Effect.fnUntraced(function*(
  given: { readonly url: Option.Option<string>; readonly tokenFile: Option.Option<string> }
) {
  const fs = yield* FileSystem.FileSystem
  const config = yield* ConnectionConfig
  const url = Option.orElse(given.url, () => config.url)
  if (Option.isNone(url)) {
    return yield* missing("NO_URL", "--url", "There is no service to work for.", "Give --url or SMITHERS_URL.")
  }
  const { origin: baseUrl } = yield* parseUrl(url.value)
  const file = Option.getOrUndefined(given.tokenFile)
  const token = file === undefined
    ? config.token
    : yield* fs.readFileString(file).pipe(
      Effect.map((text) => Option.some(Redacted.make(text.trim()))),
      Effect.mapError(() => missing("NO_TOKEN", "--token-file", `${file} cannot be read.`, "Give a readable file."))
    )
  if (Option.isNone(token)) {
    const message = "There is no token to sign in with."
    return yield* missing("NO_TOKEN", "--token-file", message, "Give --token-file or SMITHERS_TOKEN.")
  }
  return yield* makeClient({ baseUrl, token: token.value })
})

const connection = Layer.mergeAll(FetchHttpClient.layer, NodeSocket.layerWebSocketConstructor, layerConfig)

export const workerCommand = <E, R>(work: Work<E, R>) =>
  Command.make("worker", {
    ...local,
    url: Options.text("url").pipe(
      Options.withDescription("Address of the service. Default: SMITHERS_URL."),
      Options.optional
    ),
    tokenFile: Options.text("token-file").pipe(
      Options.withDescription("File of a token with the scope sandbox:work. Default: SMITHERS_TOKEN."),
      Options.optional
    ),
    runtime: Options.choice("runtime", ["bubblewrap", "docker", "podman"]).pipe(
      Options.withDescription("What runs the commands on this machine."),
      Options.withDefault("bubblewrap" as const)
    ),
    once: Options.boolean("once").pipe(Options.withDescription("End after the first command."))
  }, (options) =>
    Effect.gen(function*() {
      const context = yield* Layer.build(connection)
      const client = yield* Effect.provide(clientOf(options), context)
      const run = yield* work
      yield* run(client, options)
    }).pipe(Effect.scoped)).pipe(
      Command.withDescription("Run sandboxed commands for a service elsewhere, until it is stopped."),
      provideOutput
    )
