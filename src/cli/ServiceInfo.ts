import { Context, Schema } from "effect"

/** What the operator is told when the service has started; what `serve --json` writes. */
export const ServiceDocument = Schema.Struct({
  url: Schema.String,
  console: Schema.String,
  pid: Schema.Int,
  home: Schema.String,
  /** Null: the token was given by `SMITHERS_ADMIN_TOKEN`. */
  adminTokenFile: Schema.NullOr(Schema.String),
  workflows: Schema.Array(Schema.String),
  modules: Schema.Struct({
    loaded: Schema.Array(Schema.Struct({ file: Schema.String, revision: Schema.String })),
    failed: Schema.Array(Schema.Struct({ file: Schema.String, reason: Schema.String, detail: Schema.String }))
  })
})

/** The running service; as long as its layer lives, it runs. */
export class ServiceInfo extends Context.Tag("smithers-orchestrator/cli/ServiceInfo")<
  ServiceInfo,
  typeof ServiceDocument.Type
>() {}
