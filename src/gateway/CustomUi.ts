import { Either, ParseResult, Schema } from "effect"
import { GatewayRefused } from "./GatewayError.ts"

const pathChars = 128
const titleChars = 200
const propsBytes = 65_536

/** First segments of the paths that the gateway itself answers. */
const taken: ReadonlyArray<string> = ["v1", "rpc", "health", "metrics", "workflows", "webhooks"]

const bounded = <A, I>(schema: Schema.Schema<A, I>, message: string) =>
  schema.annotations({ message: () => ({ message, override: true }) })

const Entry = bounded(
  Schema.String.pipe(Schema.pattern(/(?:^|\/)[A-Za-z0-9_][A-Za-z0-9_.-]*\.m?js$/)),
  "must name a module of JavaScript: a file with a name of A-Z a-z 0-9 _ . - that ends in .js or .mjs"
)

export const UiPath = bounded(
  Schema.String.pipe(
    Schema.maxLength(pathChars),
    Schema.pattern(/^(?:\/[A-Za-z0-9_:-][A-Za-z0-9_.:-]*){1,8}$/),
    Schema.filter((path) => !taken.includes(path.split("/")[1] ?? ""))
  ),
  `must be 1–8 segments of A-Z a-z 0-9 _ . : - each after a slash, none beginning with a dot, at most ${pathChars} ` +
    `characters; the first may not be ${taken.join(", ")}`
)

export const UiTitle = bounded(
  Schema.String.pipe(Schema.minLength(1), Schema.maxLength(titleChars)),
  `must have 1–${titleChars} characters`
)

export const uiPropsBound = `must be a JSON value of at most ${propsBytes} bytes`

const encodeJson = Schema.encodeUnknownEither(Schema.parseJson(Schema.Unknown))

export const UiProps = bounded(
  Schema.Unknown.pipe(
    Schema.filter((props) =>
      Either.match(encodeJson(props), { onLeft: () => false, onRight: (text) => Buffer.byteLength(text) <= propsBytes })
    )
  ),
  uiPropsBound
)

/** A user interface of one's own. */
export const CustomUi = Schema.Struct({
  /**
   * The file of an ES module for browsers. Files beside and below it, with names that begin with no dot and the extension
   * of a script, style, image, font, JSON or WebAssembly, are served to anybody: it has a folder of its own.
   */
  entry: Entry,
  /** Where it is mounted, with everything below; `/console` takes the place of the console. */
  path: UiPath,
  title: UiTitle,
  /** Handed to the module, and to anybody who asks for the page: nothing that is secret. */
  props: UiProps
})
export type CustomUi = typeof CustomUi.Type

export const uiDefaults = { path: "/console", title: "Smithers", props: {} } as const

/** A user interface that is not served; the field is named as in `new Gateway({ ui })`. */
export const refusedUi = (field: string, problem: string): GatewayRefused =>
  new GatewayRefused({ reason: "Ui", detail: `ui.${field}: ${problem}.`, fix: "See SMITHERS_UI_ENTRY." })

const decode = Schema.decodeUnknownEither(CustomUi)

/** Programs may have set what no setting may be. */
export const checkedUi = (ui: CustomUi): Either.Either<CustomUi, GatewayRefused> =>
  Either.mapLeft(decode(ui), (error) => {
    const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
    return refusedUi(issue?.path.join(".") ?? "", issue?.message ?? error.message)
  })
