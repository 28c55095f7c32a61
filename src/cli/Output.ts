import { Terminal } from "@effect/platform"
import { Context, Effect, Layer, Schema } from "effect"
import { plain } from "./Style.ts"

/** Where a command's result goes: one rendering for programs (`--json`), one for people. */
export class Output extends Context.Tag("smithers-orchestrator/cli/Output")<Output, {
  readonly json: boolean
  /** A person looks at a terminal: lines may be redrawn and coloured. */
  readonly live: boolean
  /** Width and height of that terminal. */
  readonly size: Effect.Effect<{ readonly columns: number; readonly rows: number }>
  /** The result: one line of JSON, or what `forPeople` makes of it (colours are for terminals). A stream: one by one. */
  readonly print: <A, I>(schema: Schema.Schema<A, I>, value: A, forPeople: (value: A) => string) => Effect.Effect<void>
  /** Said to people only. */
  readonly say: (text: string) => Effect.Effect<void>
  /** Text as it is, to a person's terminal. */
  readonly draw: (text: string) => Effect.Effect<void>
}>() {}

const make = (json: boolean) =>
  Effect.gen(function*() {
    const terminal = yield* Terminal.Terminal
    const isTerminal = yield* terminal.isTTY
    // Nobody reads on (`smithers events … | head`): there is nothing left to do.
    const display = (text: string) => Effect.catchAll(terminal.display(text), () => Effect.interrupt)
    const say = (text: string) => json || text === "" ? Effect.void : display(`${isTerminal ? text : plain(text)}\n`)
    return Output.of({
      json,
      live: isTerminal && !json,
      size: Effect.all({ columns: terminal.columns, rows: terminal.rows }),
      print: (schema, value, forPeople) =>
        json
          ? Effect.flatMap(
            Effect.orDie(Schema.encode(Schema.parseJson(schema))(value)),
            (text) => display(`${text}\n`)
          )
          : say(forPeople(value)),
      say,
      draw: display
    })
  })

export const layer = (json: boolean) => Layer.effect(Output, make(json))
