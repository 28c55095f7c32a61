import { Args, Command, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import { confirm } from "../Confirmation.ts"
import { IdentityProviderDocument, IdentityProvidersDocument, RemovedDocument } from "../Documents.ts"
import { connected, provideConnection, yes } from "../SharedOptions.ts"
import { fields, table, timestamp } from "../Table.ts"
import { after, desk, limit, metadata, metadataOf, org, text, word } from "../TenantOptions.ts"

const provider = Args.text({ name: "providerId" }).pipe(Args.withDescription("Id of the identity provider."))

const providerText = (row: typeof IdentityProviderDocument.Type): string =>
  fields([
    ["Id", row.providerId],
    ["Organization", row.orgId],
    ["Type", row.type],
    ["Issuer", row.issuer],
    ["Sign-on", row.ssoUrl],
    ["Certificate", row.certificateRef],
    ["Client", row.clientId],
    ["Keys", row.jwksUrl],
    ["Status", row.status],
    ["Updated", timestamp(row.updatedAtMs)]
  ])

const providerSet = Command.make("set", {
  org,
  provider,
  type: Options.choice("type", ["saml", "oidc"]).pipe(Options.withDescription("How people sign in there.")),
  issuer: word("issuer", "The issuer (oidc), or the entity id (saml)."),
  ssoUrl: text("sso-url", "Where people sign in (saml)."),
  certificateRef: text(
    "certificate-ref",
    "Where the certificate is kept (saml), as vault://…; never the thing itself."
  ),
  clientId: text("client-id", "The audience of its tokens (oidc)."),
  jwksUrl: text("jwks-url", "Where its keys are, unless by discovery (oidc)."),
  disabled: Options.boolean("disabled").pipe(Options.withDescription("Nobody signs in there for now.")),
  metadata,
  ...connected
}, ({ disabled, issuer, metadata, org, provider, type, ...more }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    const row = yield* client["identityProviders.set"]({
      orgId: org,
      providerId: provider,
      type,
      issuer,
      ssoUrl: Option.getOrUndefined(more.ssoUrl),
      certificateRef: Option.getOrUndefined(more.certificateRef),
      clientId: Option.getOrUndefined(more.clientId),
      jwksUrl: Option.getOrUndefined(more.jwksUrl),
      status: disabled ? "disabled" : "active",
      metadata: yield* metadataOf(metadata)
    })
    yield* output.print(IdentityProviderDocument, row, providerText)
  })).pipe(
    Command.withDescription("Add an identity provider, or write it anew: what is not given is empty then."),
    provideConnection
  )

const providerShow = Command.make(
  "show",
  { org, provider, ...connected },
  ({ org, provider }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      yield* output.print(
        IdentityProviderDocument,
        yield* client["identityProviders.get"]({ orgId: org, providerId: provider }),
        providerText
      )
    })
).pipe(Command.withDescription("Show an identity provider."), provideConnection)

const providerList = Command.make("list", {
  org,
  status: Options.choice("status", ["active", "disabled"]).pipe(
    Options.withDescription("Only those of this status."),
    Options.optional
  ),
  limit,
  after,
  ...connected
}, ({ after, limit, org, status }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    const providers = yield* client["identityProviders.list"]({
      orgId: org,
      status: Option.getOrUndefined(status),
      limit,
      after: Option.getOrUndefined(after)
    })
    yield* output.print(IdentityProvidersDocument, { providers }, () =>
      providers.length === 0 ? "No identity providers." : table(
        ["PROVIDER", "TYPE", "ISSUER", "STATUS"],
        providers.map(({ issuer, providerId, status, type }) => [providerId, type, issuer, status])
      ))
  })).pipe(Command.withDescription("List the identity providers of an organization by id."), provideConnection)

const providerRemove = Command.make(
  "remove",
  { org, provider, yes, ...connected },
  ({ org, provider, yes }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      yield* confirm(`Remove identity provider ${provider} of ${org}?`, yes)
      const answer = yield* client["identityProviders.remove"]({ orgId: org, providerId: provider })
      yield* output.print(RemovedDocument, answer, () => `Identity provider ${provider} of ${org} is removed.`)
    })
).pipe(Command.withDescription("Remove an identity provider."), provideConnection)

export const identityProviderCommand = Command.make("idp").pipe(
  Command.withDescription("Identity providers: where the people of an organization sign in."),
  Command.withSubcommands([providerSet, providerList, providerShow, providerRemove])
)
