import { Effect, Redacted } from "effect"
import { Access } from "../access/index.ts"
import { Authorized, Caller } from "./Caller.ts"
import { IssueToken, ListTokens, RevokeToken, RotateToken, TokenRpcs } from "./contract.ts"
import { failAs } from "./internal/wireErrors.ts"

const toIssued = ({ grant, secret }: Access.Issued) => ({ token: Redacted.value(secret), grant })

/** Answers `TokenRpcs` from access. */
export const layer = TokenRpcs.middleware(Authorized).toLayer(Effect.gen(function*() {
  const access = yield* Access.Access
  const issuing = failAs(IssueToken.errorSchema)
  const listing = failAs(ListTokens.errorSchema)
  const revoking = failAs(RevokeToken.errorSchema)
  const rotating = failAs(RotateToken.errorSchema)

  return {
    "tokens.issue": (request) =>
      Effect.gen(function*() {
        const { actor } = yield* Caller
        return toIssued(yield* access.issue({ ...request, actor }))
      }).pipe(issuing),
    "tokens.list": (query) => listing(Effect.flatMap(Caller, ({ actor }) => access.list({ ...query, actor }))),
    "tokens.revoke": ({ tokenId }) =>
      Effect.gen(function*() {
        const { actor } = yield* Caller
        return yield* access.revoke(tokenId, actor)
      }).pipe(revoking),
    "tokens.rotate": ({ overlapMs, tokenId }) =>
      Effect.gen(function*() {
        const { actor } = yield* Caller
        return toIssued(yield* access.rotate(tokenId, actor, { overlapMs }))
      }).pipe(rotating)
  }
}))
