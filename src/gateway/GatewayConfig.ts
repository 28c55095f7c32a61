import { Config, ConfigError, Context, Duration, Effect, Either, Layer, Option, Schema } from "effect"
import { type CustomUi, uiDefaults, UiPath, UiProps, uiPropsBound, UiTitle } from "./CustomUi.ts"

/** Where the gateway listens, and what it hosts. */
export class GatewayConfig extends Context.Tag("smithers-orchestrator/gateway/GatewayConfig")<GatewayConfig, {
  readonly host: string
  /** 0 picks a free one; see `Gateway.address`. */
  readonly port: number
  /** Files of the certificate chain and its key, PEM. */
  readonly tls: Option.Option<{ readonly cert: string; readonly key: string }>
  /** Listen on a host that others can reach although nothing is encrypted. */
  readonly insecureBind: boolean
  /** Origins that browsers may call from; empty: any, as every call carries its token. */
  readonly allowedOrigins: ReadonlyArray<string>
  /** Between two ticks to each connection. */
  readonly heartbeat: Duration.Duration
  /** Whether the console is served, at `/console`. */
  readonly console: boolean
  /** A user interface of one's own, beside the console or in its place. */
  readonly ui: Option.Option<CustomUi>
  /** Folder of the built console; none: `console/` beside the compiled code. */
  readonly consoleDirectory: Option.Option<string>
}>() {}

/** For tests and programs that choose for themselves: loopback, any free port. */
export const defaults: Context.Tag.Service<GatewayConfig> = {
  host: "127.0.0.1",
  port: 0,
  tls: Option.none(),
  insecureBind: false,
  allowedOrigins: [],
  heartbeat: Duration.seconds(15),
  console: true,
  ui: Option.none(),
  consoleDirectory: Option.none()
}

const bothOrNeither = {
  message: "SMITHERS_TLS_CERT and SMITHERS_TLS_KEY must be set together",
  validation: ({ cert, key }: { readonly cert: Option.Option<string>; readonly key: Option.Option<string> }) =>
    Option.isSome(cert) === Option.isSome(key)
}

const decodeProps = Schema.decodeUnknownEither(Schema.parseJson(UiProps))

const ui = Config.map(
  Config.all({
    entry: Config.option(Config.nonEmptyString("UI_ENTRY")),
    path: Config.withDefault(Schema.Config("UI_PATH", UiPath), uiDefaults.path),
    title: Config.withDefault(Schema.Config("UI_TITLE", UiTitle), uiDefaults.title),
    props: Config.withDefault(
      Config.mapOrFail(
        Config.string("UI_PROPS"),
        (text) => Either.mapLeft(decodeProps(text), () => ConfigError.InvalidData([], uiPropsBound))
      ),
      uiDefaults.props
    )
  }),
  ({ entry, ...page }) => Option.map(entry, (file): CustomUi => ({ entry: file, ...page }))
)

/**
 * From `SMITHERS_HOST` (127.0.0.1), `SMITHERS_PORT` (7331), `SMITHERS_TLS_CERT`, `SMITHERS_TLS_KEY`,
 * `SMITHERS_INSECURE_BIND`, `SMITHERS_ALLOWED_ORIGINS`, `SMITHERS_HEARTBEAT`, `SMITHERS_CONSOLE` (true) and, of a user
 * interface of one's own, `SMITHERS_UI_ENTRY`, `SMITHERS_UI_PATH`, `SMITHERS_UI_TITLE` and `SMITHERS_UI_PROPS`.
 */
export const layerConfig = Layer.effect(
  GatewayConfig,
  Effect.map(
    Config.nested(
      Config.all({
        host: Config.withDefault(Config.nonEmptyString("HOST"), defaults.host),
        port: Config.withDefault(
          Config.validate(Config.integer("PORT"), {
            message: "must be between 0 and 65535",
            validation: (port) => port >= 0 && port <= 65_535
          }),
          7331
        ),
        tls: Config.validate(
          Config.all({
            cert: Config.option(Config.nonEmptyString("TLS_CERT")),
            key: Config.option(Config.nonEmptyString("TLS_KEY"))
          }),
          bothOrNeither
        ),
        insecureBind: Config.withDefault(Config.boolean("INSECURE_BIND"), false),
        allowedOrigins: Config.withDefault(Config.array(Config.nonEmptyString(), "ALLOWED_ORIGINS"), []),
        heartbeat: Config.withDefault(
          Config.validate(Config.duration("HEARTBEAT"), {
            message: "must be between 1 second and 10 minutes",
            validation: (every) => Duration.between(every, { minimum: "1 second", maximum: "10 minutes" })
          }),
          defaults.heartbeat
        ),
        console: Config.withDefault(Config.boolean("CONSOLE"), defaults.console),
        ui
      }),
      "SMITHERS"
    ),
    ({ tls, ...config }) => GatewayConfig.of({ ...config, tls: Option.all(tls), consoleDirectory: Option.none() })
  )
)
