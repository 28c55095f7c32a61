import { assert, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Metric, MetricState, Redacted, TestClock } from "effect"
import { Access, Principal } from "../../src/access/index.ts"
import { Audit } from "../../src/audit/index.ts"
import { type Actor, systemActor } from "../../src/model/index.ts"
import { Persistence } from "../../src/persistence/index.ts"
import { audited, authenticate, Fresh, issue } from "./harness.ts"

const day = Duration.toMillis("1 day")

const alice: Actor = { userId: "user:alice", tokenId: null, role: "operator", scopes: ["run:write", "approval:submit"] }

const lastUsed = (tokenId: string) =>
  Effect.gen(function*() {
    const { sql } = yield* Persistence.Persistence
    const [row] = yield* sql.unsafe<{ at: number | null }>(
      "SELECT last_used_at_ms AS at FROM _smithers_tokens WHERE token_id = ?",
      [tokenId]
    )
    return row?.at ?? null
  })

/** Lets the writer commit what background fibers have handed over. */
const settle = Effect.flatMap(
  Audit.Audit,
  () =>
    Effect.flatMap(Persistence.Persistence, ({ sql }) =>
      Effect.repeatN(
        Effect.zipRight(
          Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void))),
          sql`SELECT 1`
        ),
        20
      ))
)

const tokens = Effect.flatMap(Access.Access, (access) => access.list({ limit: 100 }))

it.effect("an issued token authenticates as its grant", () =>
  Effect.gen(function*() {
    const { grant, secret } = yield* issue({ label: "nightly" })
    const principal = yield* authenticate(secret)
    assert.deepStrictEqual(principal, {
      userId: "user:alice",
      tokenId: grant.tokenId,
      role: "operator",
      scopes: ["run:write"],
      tenant: null,
      expiresAtMs: day
    })
    assert.deepStrictEqual(Principal.toActor(principal), {
      userId: "user:alice",
      tokenId: grant.tokenId,
      role: "operator",
      scopes: ["run:write"]
    })
  }).pipe(Effect.provide(Fresh)))

it.effect("issuing is audited with who did it and what was given", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const { grant } = yield* access.issue({ role: "ci", scopes: ["run:read"], ttlMs: 5_000, label: "x", actor: alice })
    const [row] = yield* audited
    assert.deepInclude(row, { action: "token.issue", actor: "user:alice", target: grant.tokenId, outcome: "ok" })
    assert.deepStrictEqual(row?.detail, {
      origin: "issued",
      role: "ci",
      scopes: ["run:read"],
      userId: null,
      label: "x",
      expiresAtMs: 5_000
    })
  }).pipe(Effect.provide(Fresh)))

it.effect("an issue that is not committed leaves neither grant nor audit row nor a token that works", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const before = yield* tokens
    // The CHECK of the table refuses the unit.
    yield* Effect.flip(access.issue({ role: "ci", scopes: ["run:read"], ttlMs: 0, actor: systemActor }))
    assert.deepStrictEqual(yield* tokens, before)
    assert.deepStrictEqual(yield* audited, [])
  }).pipe(Effect.provide(Fresh)))

for (
  const [what, presented, reason, message] of [
    ["no credential", "", "Missing", "A bearer token is required"],
    ["another text", "hello", "Invalid", "Invalid token"],
    ["a token of somebody else", `smithers_${"A".repeat(43)}_000000`, "Invalid", "Invalid token"],
    ["a huge text", "x".repeat(1_000_000), "Invalid", "Invalid token"]
  ] as const
) {
  it.effect(`${what} is refused with "${message}"`, () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(authenticate(presented))
      assert.deepStrictEqual([error.reason, error.message, error.refresh], [reason, message, undefined])
    }).pipe(Effect.provide(Fresh)))
}

it.effect("a token works until the millisecond before it expires, and not from then on", () =>
  Effect.gen(function*() {
    const { secret } = yield* issue({ ttlMs: 60_000 })
    yield* TestClock.adjust(59_999)
    yield* authenticate(secret)
    yield* TestClock.adjust(1)
    const error = yield* Effect.flip(authenticate(secret))
    assert.strictEqual(error.message, "Token expired; issue a refreshed token.")
    assert.strictEqual(error.refresh, "smithers token issue")
  }).pipe(Effect.provide(Fresh)))

it.effect("a token lives for 24 hours unless another time is asked for", () =>
  Effect.gen(function*() {
    yield* TestClock.adjust("1 hour")
    const { grant } = yield* issue()
    assert.strictEqual(grant.expiresAtMs! - grant.issuedAtMs, day)
  }).pipe(Effect.provide(Fresh)))

for (
  const [field, bound, request] of [
    ["ttlMs", /from 1000 to 2592000000/, { ttlMs: 999 }],
    ["ttlMs", /from 1000 to 2592000000/, { ttlMs: 30 * day + 1 }],
    ["ttlMs", /whole number/, { ttlMs: 1_000.5 }],
    ["ttlMs", /whole number/, { ttlMs: Number.NaN }],
    ["scopes", /1 to 64/, { scopes: [] }],
    ["scopes", /1 to 64/, { scopes: Array.from({ length: 65 }, () => "run:read") }],
    ["scopes[1]", /catalog/, { scopes: ["run:read", "rnu:read"] }],
    ["scopes[0]", /catalog/, { scopes: ["frames.*"] }],
    ["label", /1 to 128/, { label: "x".repeat(129) }],
    ["label", /1 to 128/, { label: " " }],
    ["label", /control/, { label: "a\nb" }],
    ["label", /secret/, { label: `was smithers_${"A".repeat(43)}_000000` }],
    ["userId", /1 to 128/, { userId: "" }],
    ["role", /1 to 32/, { role: "" }],
    ["role", /1 to 32/, { role: "a".repeat(33) }],
    ["role", /1 to 32/, { role: "a b" }],
    ["role", /system/, { role: "System" }]
  ] as const
) {
  it.effect(`guarantee 8: issuing with ${JSON.stringify(request).slice(0, 60)} is refused for ${field}`, () =>
    Effect.gen(function*() {
      const before = yield* tokens
      const error = yield* Effect.flip(issue(request))
      assert(error._tag === "InvalidGrant")
      assert.strictEqual(error.field, field)
      assert.match(error.bound, bound)
      assert.notInclude(error.message, "smithers_A")
      assert.deepStrictEqual(yield* tokens, before)
      assert.deepStrictEqual(yield* audited, [])
    }).pipe(Effect.provide(Fresh)))
}

it.effect("the longest and the shortest lifetime, and every kind of scope, can be issued", () =>
  Effect.gen(function*() {
    yield* issue({ ttlMs: 30 * day })
    yield* issue({ ttlMs: 1_000 })
    const { grant } = yield* issue({ scopes: ["approval:read", "*", "read", "launchRun", "runs.*", "*"] })
    assert.deepStrictEqual(grant.scopes, ["approval:read", "*", "read", "launchRun", "runs.*"])
  }).pipe(Effect.provide(Fresh)))

it.effect("nobody issues what they do not hold, and the attempt is audited", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const as = (scopes: ReadonlyArray<string>, role = "operator") =>
      access.issue({ role, scopes, actor: alice }).pipe(Effect.flip)
    const error = yield* as(["run:read", "run:admin"])
    assert(error._tag === "Forbidden")
    assert.strictEqual(error.message, "Missing required scope run:admin for token.issue")
    assert.strictEqual((yield* as(["*"]))._tag, "Forbidden")
    assert.strictEqual((yield* as(["run:read"], "admin"))._tag, "Forbidden")
    yield* settle
    yield* access.issue({ role: "operator", scopes: ["run:read", "approval:read", "launchRun"], actor: alice })
    assert.deepStrictEqual(
      (yield* audited).map((row) => [row.action, row.actor, row.outcome]),
      [
        ["token.issue", "user:alice", "refused"],
        ["token.issue", "user:alice", "refused"],
        ["token.issue", "user:alice", "refused"],
        ["token.issue", "user:alice", "ok"]
      ]
    )
  }).pipe(Effect.provide(Fresh)))

it.effect("a principal that calls itself system does not get what the service may do", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const error = yield* Effect.flip(access.issue({ role: "ci", scopes: ["run:read"], actor: { ...systemActor } }))
    assert.strictEqual(error._tag, "Forbidden")
  }).pipe(Effect.provide(Fresh)))

it.effect("authorize gives a permit for the scope held", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const principal = yield* authenticate((yield* issue()).secret)
    const permit = yield* access.authorize(principal, "run:read", "getRun")
    assert.strictEqual(permit.principal, principal)
    assert.strictEqual(permit.scope, "run:read")
  }).pipe(Effect.provide(Fresh)))

it.effect("authorize names the scope and the method that lack", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const principal = yield* authenticate((yield* issue({ scopes: ["run:read", "getRun"] })).secret)
    const error = yield* Effect.flip(access.authorize(principal, "run:write", "launchRun"))
    assert.strictEqual(error.message, "Missing required scope run:write for launchRun")
    assert.strictEqual(error.requiredScope, "run:write")
    assert.strictEqual(
      (yield* Effect.flip(access.authorize(principal, "approval:read"))).message,
      "Missing required scope approval:read"
    )
  }).pipe(Effect.provide(Fresh)))

it.effect("a grant that names methods reaches these methods only", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const principal = yield* authenticate((yield* issue({ scopes: ["runs.*"] })).secret)
    yield* access.authorize(principal, "run:write", "runs.cancel")
    yield* Effect.flip(access.authorize(principal, "run:write", "launchRun"))
  }).pipe(Effect.provide(Fresh)))

it.effect("a revoked token is refused by the next request", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const { secret, tokenId } = yield* issue()
    yield* authenticate(secret)
    yield* TestClock.adjust(7)
    const grant = yield* access.revoke(tokenId, alice)
    assert.strictEqual(grant.revokedAtMs, 7)
    const error = yield* Effect.flip(authenticate(secret))
    assert.deepStrictEqual([error.message, error.refresh], ["Token has been revoked", "smithers token issue"])
    assert.deepInclude((yield* audited)[1], { action: "token.revoke", actor: "user:alice", target: tokenId })
  }).pipe(Effect.provide(Fresh)))

it.effect("revoking again changes nothing and is not audited twice", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const { tokenId } = yield* issue()
    const first = yield* access.revoke(tokenId, alice)
    yield* TestClock.adjust("1 minute")
    assert.deepStrictEqual(yield* access.revoke(tokenId, alice), first)
    assert.deepStrictEqual((yield* audited).map((row) => row.action), ["token.issue", "token.revoke"])
  }).pipe(Effect.provide(Fresh)))

it.effect("two revocations at once are one", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const { tokenId } = yield* issue()
    const [a, b] = yield* Effect.all([access.revoke(tokenId, alice), access.revoke(tokenId, alice)], {
      concurrency: 2
    })
    assert.deepStrictEqual(a, b)
    assert.lengthOf((yield* audited).filter((row) => row.action === "token.revoke"), 1)
  }).pipe(Effect.provide(Fresh)))

it.effect("revoking or rotating an unknown token is TokenNotFound, and a pasted secret is not repeated", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const { secret } = yield* issue()
    const unknown = yield* Effect.flip(access.revoke("0000000000000000", alice))
    assert.strictEqual(unknown.message, "No token has the id 0000000000000000")
    assert.strictEqual((yield* Effect.flip(access.rotate("0000000000000000", alice)))._tag, "TokenNotFound")
    assert.notInclude((yield* Effect.flip(access.revoke(secret, alice))).message, secret)
  }).pipe(Effect.provide(Fresh)))

it.effect("a rotated token has a new secret with the same grant, and the old one ends at once", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const old = yield* issue({ label: "ci", ttlMs: 10_000 })
    yield* TestClock.adjust(4_000)
    const { grant, secret } = yield* access.rotate(old.tokenId, systemActor)
    assert.notStrictEqual(Redacted.value(secret), old.secret)
    const { issuedAtMs, issuedBy, rotatedFrom, tokenId, ...kept } = grant
    assert.deepStrictEqual([issuedAtMs, issuedBy, rotatedFrom], [4_000, "system", old.tokenId])
    const { issuedAtMs: _0, issuedBy: _1, rotatedFrom: _2, tokenId: _3, ...before } = old.grant
    assert.deepStrictEqual(kept, { ...before, expiresAtMs: 14_000 })
    assert.strictEqual((yield* authenticate(Redacted.value(secret))).tokenId, tokenId)
    assert.strictEqual((yield* Effect.flip(authenticate(old.secret))).reason, "Revoked")
    assert.deepInclude((yield* audited)[1], { action: "token.rotate", target: old.tokenId })
  }).pipe(Effect.provide(Fresh)))

it.effect("with an overlap both tokens work until it is over", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const old = yield* issue()
    const { secret } = yield* access.rotate(old.tokenId, systemActor, { overlapMs: 60_000 })
    yield* TestClock.adjust(59_999)
    yield* authenticate(old.secret)
    yield* authenticate(Redacted.value(secret))
    yield* TestClock.adjust(1)
    assert.strictEqual((yield* Effect.flip(authenticate(old.secret))).reason, "Revoked")
    yield* authenticate(Redacted.value(secret))
  }).pipe(Effect.provide(Fresh)))

it.effect("a revocation ends an overlap at once", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const old = yield* issue()
    yield* access.rotate(old.tokenId, systemActor, { overlapMs: 60_000 })
    yield* access.revoke(old.tokenId, systemActor)
    assert.strictEqual((yield* Effect.flip(authenticate(old.secret))).reason, "Revoked")
  }).pipe(Effect.provide(Fresh)))

it.effect("of two rotations of one token one succeeds", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const { tokenId } = yield* issue()
    const rotate = Effect.either(access.rotate(tokenId, systemActor, { overlapMs: 1_000 }))
    const results = yield* Effect.all([rotate, rotate], { concurrency: 2 })
    assert.deepStrictEqual(results.map((result) => result._tag), ["Right", "Left"])
    assert.lengthOf(yield* tokens, 3)
  }).pipe(Effect.provide(Fresh)))

it.effect("an ended token and an overlap beyond a day are not rotated", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const { tokenId } = yield* issue({ ttlMs: 1_000 })
    const tooLong = yield* Effect.flip(access.rotate(tokenId, systemActor, { overlapMs: day + 1 }))
    assert.deepInclude(tooLong, { _tag: "InvalidGrant", field: "overlapMs" })
    yield* TestClock.adjust(1_000)
    const ended = yield* Effect.flip(access.rotate(tokenId, systemActor))
    assert.deepInclude(ended, { _tag: "InvalidGrant", field: "tokenId" })
  }).pipe(Effect.provide(Fresh)))

it.effect("a bearer rotates its own token, and nobody else's that gives more", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const strong = yield* issue({ scopes: ["run:admin"] })
    const weak = Principal.toActor(yield* authenticate((yield* issue({ scopes: ["run:read"] })).secret))
    assert.strictEqual((yield* Effect.flip(access.rotate(strong.tokenId, weak)))._tag, "Forbidden")
    yield* authenticate(strong.secret)
    yield* access.rotate(weak.tokenId!, weak)
  }).pipe(Effect.provide(Fresh)))

it.effect("list shows every grant, newest first, in pages, and never a secret or a hash", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const issued: Array<string> = []
    for (let i = 0; i < 5; i++) {
      yield* TestClock.adjust(1)
      issued.unshift((yield* issue({ label: `t${i}` })).tokenId)
    }
    yield* access.revoke(issued[0]!, alice)
    const first = yield* access.list({ limit: 3 })
    const second = yield* access.list({ limit: 3, afterTokenId: first[2]!.tokenId })
    const all = [...first, ...second]
    assert.deepStrictEqual(all.slice(0, 5).map((grant) => grant.tokenId), issued)
    assert.deepInclude(all[5], { origin: "admin", role: "admin", expiresAtMs: null, userId: "user:admin" })
    assert.strictEqual(all[0]?.revokedAtMs, 5)
    assert.deepStrictEqual(Object.keys(all[0]!).sort(), [
      "expiresAtMs",
      "issuedAtMs",
      "issuedBy",
      "label",
      "lastUsedAtMs",
      "orgId",
      "origin",
      "projectIds",
      "revokedAtMs",
      "role",
      "rotatedFrom",
      "scopes",
      "tokenId",
      "userId"
    ])
  }).pipe(Effect.provide(Fresh)))

it.effect("the time of last use is seen at once, and written once a minute whatever the number of requests", () =>
  Effect.gen(function*() {
    const { secret, tokenId } = yield* issue()
    yield* TestClock.adjust("10 seconds")
    yield* Effect.replicateEffect(authenticate(secret), 100, { discard: true })
    assert.strictEqual((yield* tokens).find((grant) => grant.tokenId === tokenId)?.lastUsedAtMs, 10_000)
    assert.strictEqual(yield* lastUsed(tokenId), null)
    yield* TestClock.adjust("40 seconds")
    yield* authenticate(secret)
    yield* TestClock.adjust("20 seconds")
    yield* settle
    assert.strictEqual(yield* lastUsed(tokenId), 50_000)
    assert.strictEqual((yield* tokens).find((grant) => grant.tokenId === tokenId)?.lastUsedAtMs, 50_000)
  }).pipe(Effect.provide(Fresh)))

it.effect("ended completes with revoked when the grant is revoked", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const { tokenId } = yield* issue()
    const waiting = yield* Effect.forkScoped(access.ended(tokenId))
    yield* TestClock.adjust("1 hour")
    assert.isNull(waiting.unsafePoll())
    yield* access.revoke(tokenId, alice)
    assert.strictEqual(yield* Fiber.join(waiting), "revoked")
  }).pipe(Effect.scoped, Effect.provide(Fresh)))

it.effect("ended of a rotated token completes when the overlap is over", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const { tokenId } = yield* issue()
    const waiting = yield* Effect.forkScoped(access.ended(tokenId))
    yield* access.rotate(tokenId, systemActor, { overlapMs: 5_000 })
    yield* TestClock.adjust(4_999)
    assert.isNull(waiting.unsafePoll())
    yield* TestClock.adjust(1)
    assert.strictEqual(yield* Fiber.join(waiting), "revoked")
  }).pipe(Effect.scoped, Effect.provide(Fresh)))

it.effect("ended of a grant that has ended, or that nobody knows, completes at once", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const { tokenId } = yield* issue({ ttlMs: 1_000 })
    yield* TestClock.adjust(1_000)
    assert.strictEqual(yield* access.ended(tokenId), "expired")
    assert.strictEqual(yield* access.ended("0000000000000000"), "revoked")
  }).pipe(Effect.provide(Fresh)))

it.effect("failed authentications fill neither disk nor audit: a few rows a minute and a count of the rest", () =>
  Effect.gen(function*() {
    const { secret, tokenId } = yield* issue({ ttlMs: 1_000 })
    yield* TestClock.adjust(1_000)
    yield* Effect.replicateEffect(Effect.flip(authenticate("guess")), 1_000, { discard: true })
    yield* Effect.replicateEffect(Effect.flip(authenticate("")), 1_000, { discard: true })
    yield* Effect.flip(authenticate(secret))
    yield* settle
    const rows = (yield* audited).slice(1)
    assert.deepStrictEqual(
      rows.map((row) => [row.action, row.actor, row.outcome, row.reason]),
      [
        ...Array.from({ length: 5 }, () => ["token.authenticate", "anonymous", "refused", "Invalid token"]),
        ["token.authenticate", tokenId, "refused", "Token expired; issue a refreshed token."]
      ]
    )
    yield* TestClock.adjust("1 minute")
    yield* Effect.flip(authenticate("guess"))
    yield* settle
    assert.deepStrictEqual((yield* audited).at(-1)?.detail, { suppressedBefore: 995 })
  }).pipe(Effect.provide(Fresh)))

it.effect("authentications are counted by outcome", () =>
  Effect.gen(function*() {
    const count = (outcome: string) =>
      Effect.map(
        Metric.snapshot,
        (pairs) =>
          pairs.filter((pair) =>
            pair.metricKey.name === "smithers_access_authentications_total" &&
            pair.metricKey.tags.some((tag) => tag.value === outcome)
          ).map((pair) => MetricState.isCounterState(pair.metricState) ? Number(pair.metricState.count) : 0)[0] ?? 0
      )
    const before = yield* Effect.all([count("ok"), count("missing"), count("invalid")])
    yield* authenticate((yield* issue()).secret)
    yield* Effect.flip(authenticate(""))
    yield* Effect.flip(authenticate("guess"))
    yield* Effect.flip(authenticate("guess"))
    const after = yield* Effect.all([count("ok"), count("missing"), count("invalid")])
    assert.deepStrictEqual(after.map((n, i) => n - before[i]!), [1, 1, 2])
  }).pipe(Effect.provide(Fresh)))
