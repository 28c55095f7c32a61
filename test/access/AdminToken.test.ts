import { FileSystem, Path } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Layer, Option, Redacted, TestClock } from "effect"
import { Access, AccessConfig, Principal } from "../../src/access/index.ts"
import { systemActor } from "../../src/model/index.ts"
import { authenticate, issue, on } from "./harness.ts"

const chosen = "an-operators-own-long-secret"

/** A home of its own for each test, and what is in it. */
const withHome = <A, E>(
  body: (home: string, file: string) => Effect.Effect<A, E, FileSystem.FileSystem | Path.Path>
) =>
  Effect.scoped(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const home = path.join(yield* fs.makeTempDirectoryScoped({ prefix: "smithers-access-" }), "home")
    return yield* body(home, path.join(home, "admin-token"))
  })).pipe(Effect.provide(NodeContext.layer))

const read = (file: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => Effect.map(fs.readFileString(file), (text) => text.trim()))

const mode = (file: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => Effect.map(fs.stat(file), (info) => info.mode & 0o777))

const start = (home: string, adminToken?: string) =>
  Effect.asVoid(Access.Access).pipe(
    Effect.provide(on(home, adminToken))
  )

const standing = Effect.gen(function*() {
  const access = yield* Access.Access
  return (yield* access.list({ limit: 100 })).filter((grant) => grant.origin === "admin" && grant.revokedAtMs === null)
})

it.effect("the first start writes an admin token that only its owner can read and that may do everything", () =>
  withHome((home, file) =>
    Effect.gen(function*() {
      const access = yield* Access.Access
      assert.deepStrictEqual(access.adminTokenFile, Option.some(file))
      assert.strictEqual(yield* mode(file), 0o600)
      const principal = yield* authenticate(yield* read(file))
      assert.deepInclude(principal, { role: "admin", scopes: ["*"], userId: "user:admin", expiresAtMs: null })
      yield* access.issue({ role: "admin", scopes: ["*"], actor: Principal.toActor(principal) })
    }).pipe(Effect.provide(on(home)))
  ))

it.effect("after a restart every token still works and the admin token is the same", () =>
  withHome((home, file) =>
    Effect.gen(function*() {
      const { grant, secret } = yield* Effect.provide(issue({ label: "ci" }), on(home))
      const before = yield* read(file)
      yield* Effect.gen(function*() {
        assert.strictEqual((yield* authenticate(secret)).tokenId, grant.tokenId)
        yield* authenticate(yield* read(file))
        assert.lengthOf(yield* standing, 1)
      }).pipe(Effect.provide(on(home)))
      assert.strictEqual(yield* read(file), before)
    })
  ))

it.effect("a revocation and an expiry hold after a restart", () =>
  withHome((home) =>
    Effect.gen(function*() {
      const [revoked, expired] = yield* Effect.gen(function*() {
        const access = yield* Access.Access
        const revoked = yield* issue()
        yield* access.revoke(revoked.tokenId, systemActor)
        return [revoked, yield* issue({ ttlMs: 1_000 })] as const
      }).pipe(Effect.provide(on(home)))
      yield* TestClock.adjust(1_000)
      yield* Effect.gen(function*() {
        assert.strictEqual((yield* Effect.flip(authenticate(revoked.secret))).reason, "Revoked")
        assert.strictEqual((yield* Effect.flip(authenticate(expired.secret))).reason, "Expired")
      }).pipe(Effect.provide(on(home)))
    })
  ))

it.effect("the time of last use survives a shutdown", () =>
  withHome((home) =>
    Effect.gen(function*() {
      const { tokenId } = yield* Effect.gen(function*() {
        const issued = yield* issue()
        yield* TestClock.adjust("5 seconds")
        yield* authenticate(issued.secret)
        return issued
      }).pipe(Effect.provide(on(home)))
      const grants = yield* Effect.flatMap(Access.Access, (access) => access.list({ limit: 10 })).pipe(
        Effect.provide(on(home))
      )
      assert.strictEqual(grants.find((grant) => grant.tokenId === tokenId)?.lastUsedAtMs, 5_000)
    })
  ))

it.effect("a lost admin-token file is made again, and the lost token is revoked", () =>
  withHome((home, file) =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      yield* start(home)
      const lost = yield* read(file)
      yield* fs.remove(file)
      yield* Effect.gen(function*() {
        yield* authenticate(yield* read(file))
        assert.strictEqual((yield* Effect.flip(authenticate(lost))).reason, "Revoked")
        assert.lengthOf(yield* standing, 1)
      }).pipe(Effect.provide(on(home)))
    })
  ))

it.effect("an admin-token file without a grant in the database is replaced", () =>
  withHome((home, file) =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      yield* start(home)
      const before = yield* read(file)
      for (const name of ["smithers.db", "smithers.db-wal", "smithers.db-shm"]) {
        yield* fs.remove(`${home}/${name}`, { force: true })
      }
      yield* Effect.gen(function*() {
        assert.notStrictEqual(yield* read(file), before)
        assert.strictEqual(yield* mode(file), 0o600)
        yield* authenticate(yield* read(file))
        assert.strictEqual((yield* Effect.flip(authenticate(before))).reason, "Invalid")
      }).pipe(Effect.provide(on(home)))
    })
  ))

it.effect("a file with an ordinary token in it does not make that token an admin", () =>
  withHome((home, file) =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const { secret } = yield* Effect.provide(issue(), on(home))
      yield* fs.writeFileString(file, secret)
      yield* Effect.gen(function*() {
        assert.notStrictEqual(yield* read(file), secret)
        assert.strictEqual((yield* authenticate(secret)).role, "operator")
      }).pipe(Effect.provide(on(home)))
    })
  ))

it.effect("an admin-token file that others can read is closed to them and kept", () =>
  withHome((home, file) =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      yield* start(home)
      const before = yield* read(file)
      yield* fs.chmod(file, 0o644)
      yield* start(home)
      assert.strictEqual(yield* mode(file), 0o600)
      assert.strictEqual(yield* read(file), before)
    })
  ))

it.effect("a file that cannot be written refuses the start and says what to do", () =>
  withHome((home, file) =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      yield* fs.makeDirectory(`${file}/in-the-way`, { recursive: true })
      const error = yield* Effect.flip(start(home))
      assert(error._tag === "AdminTokenUnavailable")
      assert.include(error.message, file)
      assert.include(error.message, "SMITHERS_ADMIN_TOKEN")
    })
  ))

it.effect("a revoked admin token is replaced by the next start", () =>
  withHome((home, file) =>
    Effect.gen(function*() {
      const before = yield* Effect.gen(function*() {
        const access = yield* Access.Access
        const secret = yield* read(file)
        yield* access.revoke((yield* authenticate(secret)).tokenId!, systemActor)
        assert.strictEqual((yield* Effect.flip(authenticate(secret))).reason, "Revoked")
        return secret
      }).pipe(Effect.provide(on(home)))
      yield* Effect.gen(function*() {
        assert.notStrictEqual(yield* read(file), before)
        yield* authenticate(yield* read(file))
      }).pipe(Effect.provide(on(home)))
    })
  ))

it.effect("a rotated admin token is written to the file and stays after a restart", () =>
  withHome((home, file) =>
    Effect.gen(function*() {
      const secret = yield* Effect.gen(function*() {
        const access = yield* Access.Access
        const old = yield* authenticate(yield* read(file))
        const rotated = yield* access.rotate(old.tokenId!, Principal.toActor(old), { overlapMs: 60_000 })
        assert.strictEqual(rotated.grant.expiresAtMs, null)
        return Redacted.value(rotated.secret)
      }).pipe(Effect.provide(on(home)))
      assert.strictEqual(yield* read(file), secret)
      assert.strictEqual(yield* mode(file), 0o600)
      yield* Effect.provide(authenticate(secret), on(home))
      assert.strictEqual(yield* read(file), secret)
    })
  ))

it.effect("a configured admin token is used, and no file is written", () =>
  withHome((home, file) =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const access = yield* Access.Access
      assert.deepStrictEqual(access.adminTokenFile, Option.none())
      assert.isFalse(yield* fs.exists(file))
      assert.deepInclude(yield* authenticate(chosen), { role: "admin", scopes: ["*"], userId: "user:admin" })
      assert.strictEqual((yield* Effect.flip(authenticate(`${chosen}x`))).reason, "Invalid")
    }).pipe(Effect.provide(on(home, chosen)))
  ))

it.effect("another configured admin token takes the place of the one before", () =>
  withHome((home) =>
    Effect.gen(function*() {
      yield* start(home, chosen)
      yield* Effect.gen(function*() {
        yield* authenticate("another-long-secret-of-mine")
        assert.strictEqual((yield* Effect.flip(authenticate(chosen))).reason, "Revoked")
        assert.lengthOf(yield* standing, 1)
      }).pipe(Effect.provide(on(home, "another-long-secret-of-mine")))
    })
  ))

it.effect("a configured admin token that was revoked stays revoked, and its successor works", () =>
  withHome((home) =>
    Effect.gen(function*() {
      const successor = yield* Effect.gen(function*() {
        const access = yield* Access.Access
        const { secret } = yield* access.rotate((yield* authenticate(chosen)).tokenId!, systemActor)
        return Redacted.value(secret)
      }).pipe(Effect.provide(on(home, chosen)))
      yield* Effect.gen(function*() {
        assert.strictEqual((yield* Effect.flip(authenticate(chosen))).reason, "Revoked")
        yield* authenticate(successor)
      }).pipe(Effect.provide(on(home, chosen)))
      yield* Effect.provide(authenticate(successor), on(home, successor))
    })
  ))

for (
  const [what, text] of [
    ["short", "fifteen-letters"],
    ["with a space", "a secret with spaces in it"],
    ["that looks like ours but is mistyped", `smithers_${"A".repeat(43)}_000000`]
  ] as const
) {
  it.effect(`a configured admin token ${what} refuses the start and is not repeated`, () =>
    withHome((home) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(start(home, text))
        assert.strictEqual(error._tag, "AdminTokenUnavailable")
        assert.notInclude(error.message, text)
      })
    ))
}

it.effect("an ordinary token is not accepted as the configured admin token", () =>
  withHome((home) =>
    Effect.gen(function*() {
      const { secret } = yield* Effect.provide(issue(), on(home))
      assert.strictEqual((yield* Effect.flip(start(home, secret)))._tag, "AdminTokenUnavailable")
    })
  ))

const configured = (entries: ReadonlyArray<readonly [string, string]>) =>
  AccessConfig.AccessConfig.pipe(
    Effect.provide(AccessConfig.layerConfig.pipe(
      Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map(entries))))
    ))
  )

it.effect("the configuration comes from SMITHERS_TOKEN_MAX_TTL and SMITHERS_ADMIN_TOKEN", () =>
  Effect.gen(function*() {
    const defaults = yield* configured([])
    assert.isTrue(Duration.equals(defaults.tokenMaxTtl, "30 days"))
    assert.deepStrictEqual(defaults.adminToken, Option.none())
    const set = yield* configured([["SMITHERS.TOKEN_MAX_TTL", "12 hours"], ["SMITHERS.ADMIN_TOKEN", chosen]])
    assert.isTrue(Duration.equals(set.tokenMaxTtl, "12 hours"))
    assert.deepStrictEqual(Option.map(set.adminToken, Redacted.value), Option.some(chosen))
    assert.notInclude(JSON.stringify(set), chosen)
    assert.include(String(yield* Effect.flip(configured([["SMITHERS.TOKEN_MAX_TTL", "1 second"]]))), "1 minute")
  }))
