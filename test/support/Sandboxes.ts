import { NodeContext } from "@effect/platform-node"
import { Context, Effect, Layer, Redacted } from "effect"
import path from "node:path"
import { Audit } from "../../src/audit/index.ts"
import { RunStore } from "../../src/journal/index.ts"
import { Persistence } from "../../src/persistence/index.ts"
import {
  BlobStore,
  EgressProxy,
  EgressResolver,
  Probe,
  RemoteWorkers,
  RuntimeConfig,
  Runtimes,
  Sandbox,
  SandboxStore
} from "../../src/sandbox/index.ts"
import {
  MemoryProvider,
  OrgSecrets,
  SecretGuard,
  SecretNotFound,
  SecretProviders,
  Secrets
} from "../../src/secrets/index.ts"

/**
 * The sandboxes of a service on a database, with a secret called `token` in memory, to which whatever an organization
 * calls by its own id points.
 */
export const sandboxesOf = Effect.fnUntraced(function*(
  persistence: Persistence.Persistence["Type"],
  options: { readonly token?: string; readonly environment?: string } = {}
) {
  const secrets = Secrets.layer.pipe(
    Layer.provide(
      SecretProviders.layer([MemoryProvider.make({ token: Redacted.make(options.token ?? "a-value-for-tests") })])
    ),
    Layer.provide(Layer.succeed(OrgSecrets, {
      locate: ({ orgId }, name) =>
        name === orgId
          ? Effect.succeed({ provider: "memory", name: "token" })
          : new SecretNotFound({ provider: "org", secretName: name })
    })),
    Layer.provideMerge(SecretGuard.layer)
  )
  const context = yield* Layer.build(
    Sandbox.layer.pipe(
      Layer.provideMerge(SandboxStore.layer),
      Layer.provide(Probe.layer),
      Layer.provideMerge(Layer.unwrapEffect(
        Effect.map(RemoteWorkers.RemoteWorkers, ({ runtime }) => Runtimes.layerWith([runtime]))
      )),
      Layer.provideMerge(RemoteWorkers.layer),
      Layer.provide(EgressProxy.layer),
      Layer.provide(EgressResolver.layer),
      Layer.provideMerge(BlobStore.layer(path.join(persistence.home, "blobs"))),
      Layer.provide(secrets),
      Layer.provide(Audit.layer),
      Layer.provide(RunStore.layer),
      Layer.provide(Layer.succeed(RuntimeConfig.RuntimeConfig, {
        ...RuntimeConfig.defaults,
        environment: options.environment ?? "development"
      })),
      Layer.provide(Layer.succeed(Persistence.Persistence, persistence)),
      Layer.provide(NodeContext.layer)
    )
  )
  return { context, sandbox: Context.get(context, Sandbox.Sandbox) }
})
