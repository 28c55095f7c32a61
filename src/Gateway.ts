import { ConfigProvider, Effect, Layer, ManagedRuntime } from "effect"
import type { ServiceDocument } from "./cli/Documents.ts"
import { type CustomUi, Gateway as Layers } from "./gateway/index.ts"

export * from "./gateway/index.ts"

/** What a gateway is told; every other setting is read from `SMITHERS_…`, as `node dist/main.js` does. */
export interface GatewayOptions {
  /**
   * `true`: serve the built-in console, at `/console`. An object: a user interface of one's own instead, at `path`
   * (`/console` unless given). Neither unless given.
   */
  readonly ui?: boolean | (Pick<CustomUi, "entry"> & Partial<CustomUi>)
  /** Directory of the database and all else; `SMITHERS_HOME` unless given. */
  readonly home?: string
  /** `SMITHERS_HOST` unless given. */
  readonly host?: string
  /** 0 picks a free one; `SMITHERS_PORT` unless given. */
  readonly port?: number
  /** Workflow modules, `.ts` or `.js`; `SMITHERS_WORKFLOWS` unless given. */
  readonly workflows?: ReadonlyArray<string>
}

/** Text that is no JSON if the value has none: the setting is refused then, with its name and bound. */
const jsonOrNot = (value: unknown): string => {
  try {
    return String(JSON.stringify(value))
  } catch {
    return ""
  }
}

const uiSettings = ({ entry, path, title, ...more }: Exclude<GatewayOptions["ui"], boolean | undefined>) => ({
  UI_ENTRY: entry,
  UI_PATH: path,
  UI_TITLE: title,
  UI_PROPS: "props" in more ? jsonOrNot(more.props) : undefined
})

const settings = ({ home, host, port, ui = false, workflows }: GatewayOptions): ReadonlyMap<string, string> =>
  new Map(
    Object.entries({
      CONSOLE: ui === true,
      HOME: home,
      HOST: host,
      PORT: port,
      WORKFLOWS: workflows?.join(),
      ...(typeof ui === "boolean" ? {} : uiSettings(ui))
    }).flatMap(([name, value]): ReadonlyArray<readonly [string, string]> =>
      value === undefined ? [] : [[`SMITHERS_${name}`, String(value)]]
    )
  )

/** The service in the process of somebody who does not use Effect. Those who do use `App`, or the layers. */
const start = async (options: GatewayOptions) => {
  const [{ App }, { ServiceInfo }] = await Promise.all([import("./App.ts"), import("./cli/index.ts")])
  const provider = ConfigProvider.orElse(
    ConfigProvider.fromMap(new Map(settings(options)), { pathDelim: "_" }),
    ConfigProvider.fromEnv
  )
  const runtime = ManagedRuntime.make(Layer.provide(App, Layer.setConfigProvider(provider)))
  try {
    return { runtime, info: await runtime.runPromise(Effect.map(ServiceInfo, (info) => info)) }
  } catch (cause) {
    await runtime.dispose()
    throw cause
  }
}

/**
 * The whole service as one object: `const gateway = new Gateway({ ui: true })`, then `listen` and `close`. `Gateway.layer`
 * and its like are for programs in Effect.
 */
export class Gateway {
  /** Listens as `GatewayConfig` says, from its building until its scope closes. */
  static readonly layer = Layers.layer
  static readonly layerMethods = Layers.layerMethods
  static readonly Gateway = Layers.Gateway

  readonly #options: GatewayOptions
  #started: ReturnType<typeof start> | undefined

  constructor(options: GatewayOptions = {}) {
    this.#options = options
  }

  /**
   * Starts the service, unless it has been started, and says where it is. Rejects with what is wrong: a setting, a home in
   * use, a port that is taken; it may be called again then.
   */
  async listen(): Promise<typeof ServiceDocument.Type> {
    this.#started ??= start(this.#options)
    const starting = this.#started
    try {
      return (await starting).info
    } catch (cause) {
      if (this.#started === starting) this.#started = undefined
      throw cause
    }
  }

  /** Ends the service: sockets are closed, runs go on when it is started again. May be called at any time. */
  async close(): Promise<void> {
    const started = await this.#started?.catch(() => undefined)
    this.#started = undefined
    await started?.runtime.dispose()
  }
}

// eslint-disable-next-line @typescript-eslint/no-namespace -- the class has the Tag as a value, this has it as a type
export declare namespace Gateway {
  /** The Tag of the layer. */
  type Gateway = Layers.Gateway
}
