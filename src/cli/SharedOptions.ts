import { Command, Options } from "@effect/cli"
import { Layer } from "effect"
import * as Connection from "./Connection.ts"
import * as Output from "./Output.ts"

const json = Options.boolean("json").pipe(
  Options.withDescription("Write JSON: one document, or one per line where results stream.")
)

/** Options of a command that works on its own. */
export const local = { json }

/** Options of a command that talks to the running service. */
export const connected = {
  json,
  url: Options.text("url").pipe(
    Options.withDescription("Address of the service. Default: SMITHERS_URL, the home's address file, host and port."),
    Options.optional
  ),
  token: Options.redacted("token").pipe(
    Options.withDescription("Token to sign in with. Default: SMITHERS_TOKEN, or the home's admin-token file."),
    Options.optional
  )
}

interface LocalOptions {
  readonly json: boolean
}

export interface ConnectedOptions extends LocalOptions, Connection.ConnectionOptions {}

export const provideOutput = <Name extends string, R, E, A extends LocalOptions>(
  command: Command.Command<Name, R, E, A>
) => Command.provide(command, (options: A) => Output.layer(options.json))

export const provideConnection = <Name extends string, R, E, A extends ConnectedOptions>(
  command: Command.Command<Name, R, E, A>
) => Command.provide(command, (options: A) => Layer.merge(Output.layer(options.json), Connection.layer(options)))

/** Answers the question that stands before what cannot be undone; programs are not asked. */
export const yes = Options.boolean("yes").pipe(
  Options.withAlias("y"),
  Options.withDescription("Do not ask on a terminal.")
)
