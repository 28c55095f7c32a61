import { assert, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import { makeGrants } from "../../src/access/internal/Grants.ts"
import type { TokenRow } from "../../src/access/internal/TokenTable.ts"
import { grantBounds } from "../../src/access/TokenGrant.ts"

const day = 24 * 60 * 60 * 1_000

const row = (fields: Partial<TokenRow> = {}): TokenRow => ({
  tokenId: "0123456789abcdef",
  sha256: "0123456789abcdef".repeat(4),
  origin: "issued",
  role: "operator",
  scopes: ["run:read"],
  userId: null,
  orgId: null,
  projectIds: null,
  label: null,
  issuedBy: "system",
  rotatedFrom: null,
  issuedAtMs: 0,
  expiresAtMs: 30 * day,
  revokedAtMs: null,
  lastUsedAtMs: null,
  ...fields
})

it.scoped("ended completes with expired at the moment of expiry, be it weeks ahead", () =>
  Effect.gen(function*() {
    const waiting = yield* Effect.forkScoped(makeGrants([row()]).ended(row().tokenId))
    yield* TestClock.adjust(30 * day - 1)
    assert.isNull(waiting.unsafePoll())
    yield* TestClock.adjust(1)
    assert.strictEqual(yield* Fiber.join(waiting), "expired")
  }))

it.scoped("no wait is longer than Node's timers can count", () =>
  Effect.gen(function*() {
    yield* Effect.forkScoped(makeGrants([row()]).ended(row().tokenId))
    yield* Effect.yieldNow()
    yield* TestClock.adjust(0)
    for (const at of yield* TestClock.sleeps()) assert.isAtMost(at, 2 ** 31 - 1)
    assert.isNotEmpty(Array.from(yield* TestClock.sleeps()))
  }))

it.scoped("ended of a grant without expiry waits for its revocation", () =>
  Effect.gen(function*() {
    const grants = makeGrants([row({ origin: "admin", expiresAtMs: null })])
    const waiting = yield* Effect.forkScoped(grants.ended(row().tokenId))
    yield* TestClock.adjust(10_000 * day)
    assert.isNull(waiting.unsafePoll())
    grants.revoke(row().tokenId, 10_000 * day)
    assert.strictEqual(yield* Fiber.join(waiting), "revoked")
  }))

it("a hash that shares its first characters with that of a grant is not that grant", () => {
  const grants = makeGrants([row()])
  assert.isDefined(grants.find(row().sha256))
  assert.isUndefined(grants.find("0123456789abcdef".repeat(3) + "0123456789abcdee"))
})

it("uses that could not be written are given back, and a later use wins", () => {
  const grants = makeGrants([row()])
  const held = grants.find(row().sha256)!
  grants.use(held, 1)
  const taken = grants.takeUses()
  assert.deepStrictEqual(grants.takeUses(), [])
  grants.use(held, 2)
  grants.giveBack(taken)
  assert.deepStrictEqual(grants.takeUses(), [[row().tokenId, 2]])
})

it("the memory is bounded: grants that have ended make room, grants that live do not", () => {
  const numbered = (fields: Partial<TokenRow>) => (i: number) => {
    const tokenId = i.toString(16).padStart(16, "0")
    return row({ tokenId, sha256: tokenId.repeat(4), ...fields })
  }
  const full = (fields: Partial<TokenRow>) =>
    makeGrants(Array.from({ length: grantBounds.live }, (_, i) => numbered(fields)(i)))
  assert.isFalse(full({}).hasRoom(1))
  const ended = full({ revokedAtMs: 1 })
  assert.isTrue(ended.hasRoom(1))
  assert.isUndefined(ended.get("0000000000000001"))
})
