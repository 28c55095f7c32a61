import { FileSystem } from "@effect/platform"
import { assert, it } from "@effect/vitest"
import { Effect, Option, Redacted } from "effect"
import { Access } from "../../src/access/index.ts"
import { systemActor } from "../../src/model/index.ts"
import { Persistence } from "../../src/persistence/index.ts"
import { authenticate, Fresh, issue } from "./harness.ts"

it.effect("guarantee 6: no secret is in the database, its write-ahead log, or any other file but admin-token", () =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const access = yield* Access.Access
    const persistence = yield* Persistence.Persistence
    const file = Option.getOrThrow(access.adminTokenFile)
    const admin = (yield* fs.readFileString(file)).trim()
    const { secret, tokenId } = yield* issue({ label: "ci" })
    const rotated = yield* access.rotate(tokenId, systemActor)
    yield* authenticate(Redacted.value(rotated.secret))
    yield* Effect.flip(authenticate(secret))
    yield* Effect.flip(authenticate(`${secret}x`))
    yield* Effect.flip(access.revoke(secret, systemActor))
    yield* Effect.flip(access.rotate(secret, systemActor))
    yield* Effect.flip(issue({ label: secret }))
    yield* Effect.flip(issue({ userId: secret }))
    yield* Effect.flip(issue({ role: secret }))
    yield* Effect.flip(issue({ scopes: [secret] }))
    yield* access.revoke(rotated.grant.tokenId, systemActor)

    const { sql } = persistence
    const tables = yield* sql`SELECT name FROM sqlite_master WHERE type = 'table'`
    const cells = (yield* Effect.forEach(tables, ({ name }) => sql.unsafe(`SELECT * FROM "${String(name)}"`))).flat()
      .flatMap((row) => Object.values(row as object).map(String))
    const bytes = yield* Effect.forEach(
      (yield* fs.readDirectory(persistence.home)).filter((name) => name !== "admin-token"),
      (name) => Effect.map(fs.readFile(`${persistence.home}/${name}`), (data) => Buffer.from(data).toString("latin1"))
    )
    assert.isAbove(cells.length, 20)
    assert.isTrue(bytes.some((text) => text.includes(tokenId)))
    for (const text of [admin, secret, Redacted.value(rotated.secret)]) {
      // The random part alone, so that no other way to write it down is missed.
      const body = text.slice("smithers_".length, -"_000000".length)
      for (const where of [...cells, ...bytes]) assert.notInclude(where, body)
    }
  }).pipe(Effect.provide(Fresh)))

it.effect("a secret does not show when what issue answered is printed", () =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const issued = yield* access.issue({ role: "ci", scopes: ["run:read"], actor: systemActor })
    assert.notInclude(JSON.stringify(issued) + String(issued.secret), Redacted.value(issued.secret))
  }).pipe(Effect.provide(Fresh)))
