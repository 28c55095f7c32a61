import { Args, Command, Options } from "@effect/cli"
import { Clock, Effect, Layer, Option } from "effect"
import { TokenRow } from "../../gateway/contract.ts"
import { IssuedDocument, TokensDocument } from "../Documents.ts"
import { toMillis } from "../DurationOption.ts"
import * as Output from "../Output.ts"
import { connected, type ConnectedOptions } from "../SharedOptions.ts"
import { fields, span, table, timestamp } from "../Table.ts"
import * as TokenAccess from "../TokenAccess.ts"
import * as TokenDesk from "../TokenDesk.ts"

const provideDesk = <Name extends string, R, E, A extends ConnectedOptions>(command: Command.Command<Name, R, E, A>) =>
  Command.provide(command, (options: A) => Layer.merge(Output.layer(options.json), TokenAccess.layer(options)))

const issuedText = ({ grant, token }: TokenDesk.Issued): string =>
  [
    token,
    "",
    "It is shown this once.",
    fields([
      ["Id", grant.tokenId],
      ["Role", grant.role],
      ["Scopes", grant.scopes.join(" ")],
      ...(grant.orgId === null ? [] : [
        ["Organization", grant.orgId] as const,
        ["Projects", grant.projectIds?.join(" ") ?? "all"] as const
      ]),
      ["Expires", grant.expiresAtMs === null ? "never" : timestamp(grant.expiresAtMs)]
    ])
  ].join("\n")

const issueCommand = Command.make("issue", {
  scopes: Options.text("scopes").pipe(
    Options.withDescription(
      "What it may do, separated by commas: run:read, run:write, approval:submit, … Default: run:read, and with --org what the role gives."
    ),
    Options.optional
  ),
  role: Options.text("role").pipe(
    Options.withDescription(
      "Role of its bearer; with --org one of org-owner, admin, member, auditor, viewer. Default: operator, with --org viewer."
    ),
    Options.optional
  ),
  org: Options.text("org").pipe(
    Options.withDescription("The organization that its bearer acts for. Default: none, it is the operator's."),
    Options.optional
  ),
  project: Options.text("project").pipe(
    Options.withDescription("A project of it, and no other; may be given up to 64 times. Default: all."),
    Options.repeated
  ),
  user: Options.text("user").pipe(Options.withDescription("Whom decisions are recorded as."), Options.optional),
  ttl: Options.text("ttl").pipe(
    Options.withDescription("Lifetime: 30m, 24h (the default), 7d."),
    Options.optional
  ),
  label: Options.text("label").pipe(Options.withDescription("What it is for."), Options.optional),
  ...connected
}, ({ label, org, project, role, scopes, ttl, user }) =>
  Effect.gen(function*() {
    const desk = yield* TokenDesk.TokenDesk
    const output = yield* Output.Output
    const issued = yield* desk.issue({
      role: Option.getOrElse(role, () => Option.isSome(org) ? "viewer" : "operator"),
      scopes: Option.getOrUndefined(
        Option.map(
          Option.orElseSome(scopes, () => Option.isSome(org) ? undefined : "run:read"),
          (text) => text?.split(/[\s,]+/).filter((scope) => scope !== "")
        )
      ),
      orgId: Option.getOrUndefined(org),
      projectIds: project.length === 0 ? undefined : project,
      userId: Option.getOrUndefined(user),
      label: Option.getOrUndefined(label),
      ttlMs: yield* toMillis("--ttl", ttl)
    })
    yield* output.print(IssuedDocument, issued, issuedText)
  })).pipe(Command.withDescription("Make a token. Its secret is shown this once."), provideDesk)

const stateOf = (token: TokenRow, now: number): string => {
  if (token.revokedAtMs !== null && token.revokedAtMs <= now) return "revoked"
  return token.expiresAtMs !== null && token.expiresAtMs <= now ? "expired" : "live"
}

const listCommand = Command.make("list", {
  limit: Options.integer("limit").pipe(Options.withDescription("At most so many."), Options.withDefault(100)),
  ...connected
}, ({ limit }) =>
  Effect.gen(function*() {
    const desk = yield* TokenDesk.TokenDesk
    const output = yield* Output.Output
    const tokens = yield* desk.list(limit)
    const now = yield* Clock.currentTimeMillis
    yield* output.print(TokensDocument, { tokens }, () =>
      table(
        ["TOKEN", "STATE", "ROLE", "ORGANIZATION", "SCOPES", "USER", "LABEL", "AGE", "LAST USED"],
        tokens.map((token) => [
          token.tokenId,
          stateOf(token, now),
          token.role,
          token.orgId === null ? "" : [token.orgId, ...token.projectIds ?? []].join(" "),
          token.scopes.join(" "),
          token.userId ?? "",
          token.label ?? "",
          span(now - token.issuedAtMs),
          token.lastUsedAtMs === null ? "never" : `${span(now - token.lastUsedAtMs)} ago`
        ])
      ))
  })).pipe(Command.withDescription("List tokens, newest first. Secrets are not kept."), provideDesk)

const tokenIdArgument = Args.text({ name: "tokenId" }).pipe(Args.withDescription("Id of the token, not its secret."))

const rotateCommand = Command.make("rotate", {
  tokenId: tokenIdArgument,
  overlap: Options.text("overlap").pipe(
    Options.withDescription("How long the old one stays good: 10m, 1h. Default: not at all."),
    Options.optional
  ),
  ...connected
}, ({ overlap, tokenId }) =>
  Effect.gen(function*() {
    const desk = yield* TokenDesk.TokenDesk
    const output = yield* Output.Output
    const issued = yield* desk.rotate(tokenId, yield* toMillis("--overlap", overlap))
    yield* output.print(IssuedDocument, issued, issuedText)
  })).pipe(Command.withDescription("Replace a token by a new one of the same rights."), provideDesk)

const revokeCommand = Command.make(
  "revoke",
  { tokenId: tokenIdArgument, ...connected },
  ({ tokenId }) =>
    Effect.gen(function*() {
      const desk = yield* TokenDesk.TokenDesk
      const output = yield* Output.Output
      const revoked = yield* desk.revoke(tokenId)
      yield* output.print(TokenRow, revoked, () => `Token ${tokenId} is revoked.`)
    })
).pipe(Command.withDescription("End a token now; open connections of it are closed."), provideDesk)

export const tokenCommand = Command.make("token").pipe(
  Command.withDescription("Tokens. Through the running service, or in the home itself while it does not run."),
  Command.withSubcommands([issueCommand, listCommand, rotateCommand, revokeCommand])
)
