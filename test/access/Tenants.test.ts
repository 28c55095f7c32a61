import { NodeContext } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Duration, Effect, Layer, Option, type Redacted } from "effect"
import { Access, AccessConfig, Methods, Principal, tenantRoles, Tenants } from "../../src/access/index.ts"
import { Audit } from "../../src/audit/index.ts"
import { type Actor, systemActor } from "../../src/model/index.ts"
import { Persistence, Write } from "../../src/persistence/index.ts"
import { SecretGuard } from "../../src/secrets/index.ts"
import { authenticate, issue } from "./harness.ts"

const projects = new Set(["acme app", "acme web", "beta app"])

/** Access where there are the organizations `acme` (projects `app` and `web`) and `beta` (`app`). */
const serviceWith = (stands: Tenants["Type"]["stands"]) =>
  Access.layer.pipe(
    Layer.provide([
      Layer.succeed(AccessConfig.AccessConfig, {
        tokenMaxTtl: Duration.days(30),
        adminToken: Option.none<Redacted.Redacted>()
      }),
      Layer.succeed(
        Methods,
        new Map([["audit.list", "run:admin"], ["tokens.issue", "run:admin"], ["runs.delete", "run:admin"]] as const)
      ),
      Layer.succeed(Tenants, {
        hasOrg: (orgId) => Effect.succeed(orgId === "acme" || orgId === "beta"),
        stands,
        hasProject: (orgId, projectId) => Effect.succeed(projects.has(`${orgId} ${projectId}`)),
        closedProjects: (_, userId) => Effect.succeed(userId === "outsider" ? ["web"] : [])
      })
    ]),
    Layer.provideMerge(Audit.layer),
    Layer.provide(SecretGuard.layer),
    Layer.provideMerge(Persistence.layerTemp),
    Layer.provideMerge(NodeContext.layer)
  )

const Service = serviceWith(() => Write.none)

type Request = Parameters<typeof issue>[0]

/** Whoever bears such a token, made by the operator. */
const bearer = (request: Request) =>
  Effect.map(
    Effect.flatMap(
      issue({ userId: undefined, scopes: undefined, ...request }),
      ({ secret }) => authenticate(secret)
    ),
    (principal): Actor => Principal.toActor(principal)
  )

const asks = (actor: Actor, request: Omit<Parameters<Access.Access["Type"]["issue"]>[0], "actor">) =>
  Effect.flatMap(Access.Access, (access) => access.issue({ ...request, actor }))

const refused = (actor: Actor, request: Omit<Parameters<Access.Access["Type"]["issue"]>[0], "actor">) =>
  Effect.map(Effect.flip(asks(actor, request)), (error) => [error._tag, error.message])

it.effect("a grant of an organization has what its role gives, and scopes that are named may only be fewer", () =>
  Effect.gen(function*() {
    for (const role of ["org-owner", "admin", "member", "auditor", "viewer"] as const) {
      const { grant } = yield* issue({ role, scopes: undefined, orgId: "acme", projectIds: ["app", "app"] })
      assert.deepInclude(grant, { role, orgId: "acme", projectIds: ["app"], scopes: tenantRoles[role] })
    }
    const { grant } = yield* issue({ role: "member", scopes: ["run:read"], orgId: "acme" })
    assert.deepInclude(grant, { scopes: ["run:read"], projectIds: null })
    const wider = (role: string, scopes: ReadonlyArray<string>) =>
      Effect.map(Effect.flip(issue({ role, scopes, orgId: "acme" })), ({ message }) => message)
    const within = (role: string) => `scopes[0] must be within what the role ${role} gives`
    assert.strictEqual(yield* wider("member", ["run:admin"]), within("member"))
    assert.strictEqual(yield* wider("viewer", ["run:write"]), within("viewer"))
    assert.strictEqual(yield* wider("auditor", ["tokens.issue"]), within("auditor"))
    assert.strictEqual(yield* wider("member", ["runs.delete"]), within("member"))
    for (const scope of ["*", "admin", "sandbox:work", "run:*x"]) {
      assert.include(yield* wider("org-owner", [scope]), "scopes[0] must be")
    }
    assert.include(
      yield* wider("operator", ["run:read"]),
      "role must be one of org-owner, admin, member, auditor, viewer"
    )
  }).pipe(Effect.provide(Service)))

it.effect("organizations and projects have to be there, and projects come with their organization, 64 at most", () =>
  Effect.gen(function*() {
    const problem = (request: Request) =>
      Effect.map(Effect.flip(issue({ role: "viewer", scopes: undefined, ...request })), ({ message }) => message)
    assert.strictEqual(yield* problem({ orgId: "none" }), "No organization has the id none")
    assert.strictEqual(
      yield* problem({ orgId: "beta", projectIds: ["web"] }),
      "Organization beta has no project web"
    )
    const many = Array.from({ length: 65 }, (_, i) => `p${i}`)
    assert.strictEqual(yield* problem({ orgId: "acme", projectIds: many }), "projectIds must be 1 to 64 projects")
    assert.strictEqual(yield* problem({ orgId: "acme", projectIds: [] }), "projectIds must be 1 to 64 projects")
    assert.strictEqual(
      yield* problem({ scopes: ["run:read"], projectIds: ["app"] }),
      "projectIds must come with the orgId that they belong to"
    )
    assert.strictEqual(yield* problem({}), "scopes must be 1 to 64 scopes")
  }).pipe(Effect.provide(Service)))

it.effect("whoever acts for an organization hands out nothing outside of it, above it or wider than it", () =>
  Effect.gen(function*() {
    const owner = yield* bearer({ role: "org-owner", orgId: "acme" })
    const admin = yield* bearer({ role: "admin", orgId: "acme" })
    const ofApp = yield* bearer({ role: "admin", orgId: "acme", projectIds: ["app"] })
    const narrow = yield* bearer({ role: "admin", orgId: "acme", scopes: ["run:read"] })
    const member = yield* bearer({ role: "member", orgId: "acme" })

    assert.strictEqual((yield* asks(owner, { role: "org-owner" })).grant.orgId, "acme")
    assert.strictEqual((yield* asks(admin, { role: "admin", orgId: "acme" })).grant.orgId, "acme")
    assert.deepStrictEqual((yield* asks(ofApp, { role: "viewer" })).grant.projectIds, ["app"])

    assert.deepStrictEqual(
      yield* refused(owner, { role: "viewer", orgId: "beta" }),
      ["TenantNotFound", "No organization has the id beta"]
    )
    assert.deepStrictEqual(
      yield* refused(owner, { role: "viewer", orgId: "none" }),
      ["TenantNotFound", "No organization has the id none"]
    )
    assert.deepStrictEqual(
      yield* refused(ofApp, { role: "viewer", projectIds: ["web"] }),
      ["TenantNotFound", "Organization acme has no project web"]
    )
    assert.deepStrictEqual(
      yield* refused(ofApp, { role: "viewer", projectIds: ["none"] }),
      ["TenantNotFound", "Organization acme has no project none"]
    )
    assert.strictEqual((yield* refused(admin, { role: "org-owner" }))[0], "Forbidden")
    assert.strictEqual((yield* refused(narrow, { role: "member" }))[0], "Forbidden")
    assert.strictEqual((yield* refused(member, { role: "viewer" }))[0], "Forbidden")
    assert.strictEqual((yield* refused(owner, { role: "system", scopes: ["*"] }))[0], "InvalidGrant")
    assert.strictEqual((yield* refused(owner, { role: "admin", scopes: ["*"] }))[0], "InvalidGrant")
    assert.strictEqual((yield* refused(owner, { role: "operator", scopes: ["run:read"] }))[0], "InvalidGrant")
  }).pipe(Effect.provide(Service)))

it.effect("grants of others are not there for it: neither listed, nor a cursor, nor ended, nor replaced", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const owner = yield* bearer({ role: "org-owner", orgId: "acme" })
    const admin = yield* bearer({ role: "admin", orgId: "acme" })
    const ofApp = yield* bearer({ role: "admin", orgId: "acme", projectIds: ["app"] })
    const other = yield* bearer({ role: "viewer", orgId: "beta" })
    const operators = (yield* issue()).tokenId
    const idsOf = (actor: Actor, afterTokenId?: string) =>
      Effect.map(access.list({ limit: 100, actor, afterTokenId }), (rows) => rows.map(({ tokenId }) => tokenId).sort())

    assert.deepStrictEqual(yield* idsOf(owner), [owner.tokenId!, admin.tokenId!, ofApp.tokenId!].sort())
    assert.deepStrictEqual(yield* idsOf(ofApp), [ofApp.tokenId!])
    for (const foreign of [other.tokenId!, operators, "0123456789abcdef"]) {
      assert.deepStrictEqual(yield* idsOf(owner, foreign), [])
      const unknown = `No token has the id ${foreign}`
      assert.strictEqual((yield* Effect.flip(access.revoke(foreign, owner))).message, unknown)
      assert.strictEqual((yield* Effect.flip(access.rotate(foreign, owner))).message, unknown)
    }
    assert.deepStrictEqual(yield* idsOf(ofApp, owner.tokenId!), [])
    assert.strictEqual((yield* Effect.flip(access.revoke(owner.tokenId!, ofApp)))._tag, "TokenNotFound")
    // Its own organization's, but above it.
    assert.strictEqual((yield* Effect.flip(access.revoke(owner.tokenId!, admin)))._tag, "Forbidden")
    assert.strictEqual((yield* Effect.flip(access.rotate(owner.tokenId!, admin)))._tag, "Forbidden")
    const successor = yield* access.rotate(ofApp.tokenId!, owner)
    assert.deepInclude(successor.grant, { orgId: "acme", projectIds: ["app"], rotatedFrom: ofApp.tokenId })
    assert.deepInclude(yield* access.revoke(admin.tokenId!, owner), { tokenId: admin.tokenId! })
  }).pipe(Effect.provide(Service)))

it.effect("an operator that is no administrator makes no administrator of an organization", () =>
  Effect.gen(function*() {
    const operator = yield* bearer({ role: "operator", scopes: ["run:admin", "approval:submit"], orgId: undefined })
    for (const role of ["org-owner", "admin"]) {
      assert.strictEqual((yield* refused(operator, { role, orgId: "acme", scopes: ["run:read"] }))[0], "Forbidden")
    }
    assert.strictEqual(
      (yield* asks(operator, { role: "viewer", orgId: "acme", scopes: ["run:read"] })).grant.orgId,
      "acme"
    )
  }).pipe(Effect.provide(Service)))

it.effect("it reaches its organization, its projects, and of these none that is closed to its user", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const reachOf = (request: Request) =>
      Effect.flatMap(
        issue({ scopes: undefined, userId: undefined, ...request }),
        ({ secret }) => Effect.flatMap(authenticate(secret), (principal) => access.reach(principal, "run:read"))
      )
    assert.isNull(yield* reachOf({ scopes: ["run:read"] }))
    assert.deepStrictEqual(
      yield* reachOf({ role: "member", orgId: "acme" }),
      { orgId: "acme", projectIds: null, except: [] }
    )
    assert.deepStrictEqual(
      yield* reachOf({ role: "member", orgId: "acme", projectIds: ["web"], userId: "outsider" }),
      { orgId: "acme", projectIds: ["web"], except: ["web"] }
    )
    assert.deepStrictEqual(
      yield* reachOf({ role: "admin", orgId: "acme", userId: "outsider" }),
      { orgId: "acme", projectIds: null, except: [] }
    )
  }).pipe(Effect.provide(Service)))

it.effect("the end of an organization ends its grants, each with its row in the audit", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const audit = yield* Audit.Audit
    const first = yield* issue({ role: "viewer", scopes: undefined, orgId: "acme" })
    const second = yield* issue({ role: "member", scopes: undefined, orgId: "acme" })
    const other = yield* issue({ role: "viewer", scopes: undefined, orgId: "beta" })
    const operator: Actor = { userId: null, tokenId: null, role: "admin", scopes: ["*"] }
    assert.strictEqual(yield* access.revokeOrg("acme", operator), 2)
    assert.strictEqual(yield* access.revokeOrg("acme", operator), 0)
    for (const { secret } of [first, second]) {
      assert.strictEqual((yield* Effect.flip(authenticate(secret))).reason, "Revoked")
    }
    yield* authenticate(other.secret)
    const rows = yield* audit.list({ action: "token.revoke", limit: 10 })
    assert.deepStrictEqual(rows.map(({ orgId }) => orgId), ["acme", "acme"])
  }).pipe(Effect.provide(Service)))

it.effect("an organization that is deleted while a grant of it is made or replaced is left none", () => {
  let isDeleted = false
  const stands = <E>(orgId: string, gone: () => E) =>
    Write.guard("SELECT 1 WHERE ? = 0", [isDeleted && orgId === "acme" ? 1 : 0], gone)
  return Effect.gen(function*() {
    const access = yield* Access.Access
    const { grant } = yield* issue({ role: "member", scopes: undefined, orgId: "acme" })
    isDeleted = true
    const asked = { role: "member", scopes: undefined, orgId: "acme" }
    assert.deepInclude(yield* Effect.flip(issue(asked)), { _tag: "TenantNotFound", orgId: "acme" })
    assert.deepInclude(yield* Effect.flip(access.rotate(grant.tokenId, systemActor)), { _tag: "TokenNotFound" })
    yield* issue({ ...asked, orgId: "beta" })
    const alive = (yield* access.list({ limit: 100 })).filter(({ orgId, revokedAtMs }) =>
      orgId === "acme" && revokedAtMs === null
    )
    assert.deepStrictEqual(alive.map(({ tokenId }) => tokenId), [grant.tokenId])
  }).pipe(Effect.provide(serviceWith(stands)))
})
