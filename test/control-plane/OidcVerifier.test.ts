import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, TestClock } from "effect"
import { exportJWK, exportSPKI, generateKeyPair, type GenerateKeyPairResult, SignJWT } from "jose"
import { createHmac } from "node:crypto"
import { IdentityVerifier } from "../../src/access/index.ts"
import { Audit } from "../../src/audit/index.ts"
import { ControlPlane, OidcVerifier } from "../../src/control-plane/index.ts"
import { Outbound, OutboundConfig } from "../../src/outbound/index.ts"
import { Persistence } from "../../src/persistence/index.ts"
import { makeReceiver } from "../outbox/support.ts"

const Live = (allowed: ReadonlyArray<string> = ["127.0.0.0/8"]) =>
  Layer.merge(OidcVerifier.layer, ControlPlane.layer).pipe(
    Layer.provide(Outbound.layer),
    Layer.provide(Layer.succeed(OutboundConfig.OutboundConfig, { allowed })),
    Layer.provideMerge(Audit.layer),
    Layer.provideMerge(Persistence.layerTemp),
    Layer.provide(NodeContext.layer)
  )

const now = 1_700_000_000
const verify = (token: string) => Effect.flatMap(IdentityVerifier, (verifier) => verifier.verify(token))
const reason = (token: string) => Effect.map(Effect.flip(verify(token)), ({ reason }) => reason)

type Pair = GenerateKeyPairResult

const pair = (alg = "RS256") => Effect.promise(() => generateKeyPair(alg, { extractable: true }))

/** An identity provider that is real to the service: discovery and keys over HTTP. */
const makeIssuer = Effect.gen(function*() {
  yield* TestClock.setTime(now * 1_000)
  const server = yield* makeReceiver
  const issuer = server.url
  const keys = yield* pair()
  let published: Array<readonly [string, Pair]> = [["k1", keys]]
  let fetches = 0
  let healthy = true
  yield* Effect.forkScoped(Effect.forever(Effect.gen(function*() {
    const { answer, path } = yield* server.take
    if (!healthy) return answer(503)
    if (path === "/.well-known/openid-configuration") {
      return answer(200, {}, JSON.stringify({ issuer, jwks_uri: `${issuer}/keys` }))
    }
    fetches++
    const jwks = yield* Effect.promise(() =>
      Promise.all(published.map(async ([kid, { publicKey }]) => ({ ...(await exportJWK(publicKey)), kid })))
    )
    answer(200, {}, JSON.stringify({ keys: jwks }))
  })))

  const sign = (
    claims: Record<string, unknown> = {},
    { alg = "RS256", key = keys, kid = "k1", typ }: { alg?: string; key?: Pair; kid?: string; typ?: string } = {}
  ) =>
    Effect.promise(() =>
      new SignJWT({ iss: issuer, aud: "client", sub: "ada", exp: now + 600, ...claims })
        .setProtectedHeader({ alg, kid, ...(typ === undefined ? {} : { typ }) }).sign(key.privateKey)
    )
  return {
    issuer,
    keys,
    sign,
    fetches: () => fetches,
    publish: (...next: typeof published) => {
      published = next
    },
    break: () => {
      healthy = false
    }
  }
})

const provider = (
  orgId: string,
  issuer: string,
  more: Partial<Parameters<ControlPlane.Methods["upsertIdentityProvider"]>[0]> = {}
) =>
  Effect.gen(function*() {
    const plane = yield* ControlPlane.ControlPlane
    yield* Effect.ignore(plane.createOrg({ orgId, slug: orgId, name: orgId }))
    return yield* plane.upsertIdentityProvider({
      orgId,
      providerId: "sso",
      type: "oidc",
      issuer,
      clientId: "client",
      ...more
    })
  })

describe("OidcVerifier", () => {
  it.scoped("a token of an organization's provider is somebody there, with the least role unless it says more", () =>
    Effect.gen(function*() {
      const { issuer, sign } = yield* makeIssuer
      yield* provider("acme", issuer, {
        metadata: { oidc: { roleClaim: "realm.groups", roles: { devs: "member", chiefs: "admin" } } }
      })
      const ada = { orgId: "acme", userId: "ada", provider: "sso", expiresAtMs: (now + 600) * 1_000 }
      assert.deepStrictEqual(yield* verify(yield* sign()), { ...ada, role: "viewer" })
      assert.deepStrictEqual(
        yield* verify(yield* sign({ realm: { groups: ["devs", "chiefs", "constructor"] } }, { typ: "at+jwt" })),
        { ...ada, role: "admin" }
      )
      assert.strictEqual((yield* verify(yield* sign({ aud: ["client", "other"], azp: "client" }))).role, "viewer")
    }).pipe(Effect.provide(Live())))

  it.scoped("alg none, and HS256 with the public key as secret, are refused", () =>
    Effect.gen(function*() {
      const { issuer, keys, sign } = yield* makeIssuer
      yield* provider("acme", issuer)
      const [header, payload, signature] = (yield* sign()).split(".") as [string, string, string]
      const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")
      assert.strictEqual(yield* reason(`${encode({ alg: "none" })}.${payload}.`), "BadSignature")
      const pem = yield* Effect.promise(() => exportSPKI(keys.publicKey))
      const confused = `${encode({ alg: "HS256", kid: "k1" })}.${payload}`
      const mac = createHmac("sha256", pem).update(confused).digest("base64url")
      assert.strictEqual(yield* reason(`${confused}.${mac}`), "BadSignature")
      const forged = encode({ iss: issuer, aud: "client", sub: "eve", exp: now + 600 })
      assert.strictEqual(yield* reason(`${header}.${forged}.${signature}`), "BadSignature")
      const stranger = yield* pair()
      assert.strictEqual(yield* reason(yield* sign({}, { key: stranger })), "BadSignature")
    }).pipe(Effect.provide(Live())))

  it.scoped("issuer, audience, time and type have to be what they should be", () =>
    Effect.gen(function*() {
      const { issuer, sign } = yield* makeIssuer
      yield* provider("acme", issuer)
      const cases = [
        [{ iss: "https://elsewhere.example" }, "UnknownIssuer"],
        [{ iss: `${issuer}/` }, "UnknownIssuer"],
        [{ aud: "other" }, "UnknownIssuer"],
        [{ aud: ["client", "other"], azp: "other" }, "UnknownIssuer"],
        [{ aud: [] }, "Malformed"],
        [{ exp: now - 61 }, "Expired"],
        [{ exp: undefined }, "Malformed"],
        [{ nbf: now + 61 }, "NotYetValid"],
        [{ sub: undefined }, "Malformed"],
        [{ sub: "a\u0000b" }, "Malformed"]
      ] as const
      for (const [claims, expected] of cases) {
        assert.strictEqual(yield* reason(yield* sign(claims)), expected, JSON.stringify(claims))
      }
      assert.strictEqual(yield* reason(yield* sign({}, { typ: "logout+jwt" })), "Malformed")
      // Within the difference of clocks that is tolerated.
      yield* verify(yield* sign({ exp: now - 59 }))
      yield* verify(yield* sign({ nbf: now + 59 }))
    }).pipe(Effect.provide(Live())))

  it.scoped("what is no token is refused unread", () =>
    Effect.gen(function*() {
      const { issuer, sign } = yield* makeIssuer
      yield* provider("acme", issuer)
      for (const text of ["", "a.b.c", "...", "x".repeat(16_384), `${"a".repeat(9_000)}.${"b".repeat(9_000)}.c`]) {
        assert.strictEqual(yield* reason(text), "Malformed")
      }
      assert.strictEqual(yield* reason(yield* sign({ filler: "x".repeat(20_000) })), "Malformed")
      assert.strictEqual(yield* reason("<samlp:Response/>"), "Unsupported")
    }).pipe(Effect.provide(Live())))

  it.scoped("a disabled or deleted provider vouches for nobody, at once; one of SAML is said to be unsupported", () =>
    Effect.gen(function*() {
      const { issuer, sign } = yield* makeIssuer
      const plane = yield* ControlPlane.ControlPlane
      const token = yield* sign()
      yield* provider("acme", issuer)
      yield* verify(token)
      yield* provider("acme", issuer, { status: "disabled" })
      assert.strictEqual(yield* reason(token), "UnknownIssuer")
      yield* provider("acme", issuer)
      yield* verify(token)
      yield* plane.deleteIdentityProvider({ orgId: "acme", providerId: "sso" })
      assert.strictEqual(yield* reason(token), "UnknownIssuer")
      yield* provider("acme", issuer, { type: "saml", clientId: null })
      assert.strictEqual(yield* reason(token), "Unsupported")
    }).pipe(Effect.provide(Live())))

  it.scoped("who copies the record of another organization gets none of its users", () =>
    Effect.gen(function*() {
      const { issuer, sign } = yield* makeIssuer
      yield* provider("acme", issuer)
      yield* TestClock.adjust("1 second")
      yield* provider("aardvark", issuer)
      assert.strictEqual((yield* verify(yield* sign())).orgId, "acme")
    }).pipe(Effect.provide(Live())))

  it.scoped("organizations that share an issuer and a client are told apart by what their records require", () =>
    Effect.gen(function*() {
      const { issuer, sign } = yield* makeIssuer
      yield* provider("acme", issuer, { metadata: { oidc: { require: { hd: "acme.example" } } } })
      yield* TestClock.adjust("1 second")
      yield* provider("other", issuer, {
        metadata: {
          oidc: { require: { hd: "other.example" }, defaultRole: null, roleClaim: "g", roles: { a: "auditor" } }
        }
      })
      assert.strictEqual((yield* verify(yield* sign({ hd: "acme.example" }))).orgId, "acme")
      assert.deepInclude(yield* verify(yield* sign({ hd: "other.example", g: "a" })), {
        orgId: "other",
        role: "auditor"
      })
      assert.strictEqual(yield* reason(yield* sign({ hd: "other.example" })), "NotAllowed")
      assert.strictEqual(yield* reason(yield* sign({ hd: "third.example" })), "NotAllowed")
      assert.strictEqual(yield* reason(yield* sign()), "NotAllowed")
    }).pipe(Effect.provide(Live())))

  it.scoped("a record may narrow the algorithms; one that asks for nonsense vouches for nobody", () =>
    Effect.gen(function*() {
      const { issuer, sign } = yield* makeIssuer
      yield* provider("acme", issuer, { metadata: { oidc: { algorithms: ["ES256"] } } })
      assert.strictEqual(yield* reason(yield* sign()), "BadSignature")
      for (const oidc of [{ algorithms: ["HS256"] }, { algorithms: [] }, { roles: { a: "emperor" } }, "x"]) {
        yield* provider("acme", issuer, { metadata: { oidc } })
        assert.strictEqual(yield* reason(yield* sign()), "Misconfigured")
      }
    }).pipe(Effect.provide(Live())))

  it.scoped("keys are fetched once for many, a rotated key is found, and a flood of unknown ones fetches once", () =>
    Effect.gen(function*() {
      const { fetches, issuer, keys, publish, sign } = yield* makeIssuer
      yield* provider("acme", issuer)
      const tokens = yield* Effect.forEach(Array.from({ length: 20 }), () => sign())
      yield* Effect.forEach(tokens, verify, { concurrency: "unbounded" })
      assert.strictEqual(fetches(), 1)
      yield* TestClock.adjust("31 seconds")
      const next = yield* pair("ES256")
      publish(["k1", keys], ["k2", next])
      yield* verify(yield* sign({}, { key: next, kid: "k2", alg: "ES256" }))
      assert.strictEqual(fetches(), 2)
      const unknown = yield* Effect.forEach(
        Array.from({ length: 50 }),
        (_, i) => sign({}, { key: next, kid: `x${i}`, alg: "ES256" })
      )
      yield* TestClock.adjust("31 seconds")
      for (const token of unknown) assert.strictEqual(yield* reason(token), "BadSignature")
      yield* Effect.forEach(unknown, reason, { concurrency: "unbounded" })
      assert.strictEqual(fetches(), 3)
      // A key that was withdrawn is known no longer than ten minutes.
      publish(["k2", next])
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* reason(yield* sign({ exp: now + 9_999 })), "BadSignature")
    }).pipe(Effect.provide(Live())))

  it.scoped("keys outlive a provider that is down for an hour at most; then nobody is let in", () =>
    Effect.gen(function*() {
      const issuer = yield* makeIssuer
      yield* provider("acme", issuer.issuer)
      const token = yield* issuer.sign({ exp: now + 99_999 })
      yield* verify(token)
      issuer.break()
      yield* TestClock.adjust("30 minutes")
      yield* verify(token)
      yield* TestClock.adjust("31 minutes")
      assert.strictEqual(yield* reason(token), "KeysUnavailable")
    }).pipe(Effect.provide(Live())))

  it.scoped("keys that never come, that are too much or that are none let nobody in", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(now * 1_000)
      const server = yield* makeReceiver
      const issuer = server.url
      const key = yield* pair()
      const token = yield* Effect.promise(() =>
        new SignJWT({ iss: issuer, aud: "client", sub: "ada", exp: now + 9_999 }).setProtectedHeader({ alg: "RS256" })
          .sign(key.privateKey)
      )
      yield* provider("acme", issuer, { jwksUrl: `${issuer}/keys` })
      const answers: ReadonlyArray<string | undefined> = [
        undefined,
        "x".repeat(300_000),
        "no json",
        "{\"keys\":{}}",
        JSON.stringify({ keys: Array.from({ length: 101 }, () => ({ kty: "RSA" })) })
      ]
      for (const text of answers) {
        const asked = yield* Effect.fork(reason(token))
        const { answer, path } = yield* server.take
        assert.strictEqual(path, "/keys")
        if (text === undefined) yield* TestClock.adjust("5 seconds")
        else answer(200, {}, text)
        assert.strictEqual(yield* Fiber.join(asked), "KeysUnavailable")
        // Nobody asks again so soon.
        assert.strictEqual(yield* reason(token), "KeysUnavailable")
        assert.strictEqual(yield* server.size, 0)
        yield* TestClock.adjust("31 seconds")
      }
      // Who asks and goes away does not spoil it for the others.
      const gone = yield* Effect.fork(reason(token))
      const { answer } = yield* server.take
      yield* Fiber.interrupt(gone)
      const jwk = yield* Effect.promise(() => exportJWK(key.publicKey))
      const other = yield* Effect.fork(verify(token))
      answer(200, {}, JSON.stringify({ keys: [jwk] }))
      assert.strictEqual((yield* Fiber.join(other)).userId, "ada")
    }).pipe(Effect.provide(Live())))

  it.scoped("a discovery document of another issuer, and keys at a private address, are not used", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(now * 1_000)
      const server = yield* makeReceiver
      const token = (issuer: string) =>
        Effect.flatMap(
          pair(),
          (key) =>
            Effect.promise(() =>
              new SignJWT({ iss: issuer, aud: "client", sub: "ada", exp: now + 600 }).setProtectedHeader({
                alg: "RS256"
              })
                .sign(key.privateKey)
            )
        )
      yield* provider("acme", server.url)
      const asked = yield* Effect.fork(reason(yield* token(server.url)))
      ;(yield* server.take).answer(
        200,
        {},
        JSON.stringify({ issuer: "https://a.example", jwks_uri: `${server.url}/keys` })
      )
      assert.strictEqual(yield* Fiber.join(asked), "KeysUnavailable")
      yield* provider("acme", "https://10.0.0.1", {})
      assert.strictEqual(yield* reason(yield* token("https://10.0.0.1")), "KeysUnavailable")
      assert.strictEqual(yield* server.size, 0)
    }).pipe(Effect.provide(Live())))
})
