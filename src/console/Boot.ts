import { Option, Schema } from "effect"

/** Where the page that the gateway served finds the gateway. */
const Boot = Schema.Struct({
  mountPath: Schema.optionalWith(Schema.String, { default: () => "/console" }),
  rpcPath: Schema.optionalWith(Schema.String, { default: () => "/v1/rpc" }),
  wsPath: Schema.optionalWith(Schema.String, { default: () => "/" })
})

const injected: unknown = Reflect.get(globalThis, "__SMITHERS_GATEWAY_UI__")

export const boot = Option.getOrElse(
  Schema.decodeUnknownOption(Boot)(injected),
  () => Schema.decodeSync(Boot)({})
)
