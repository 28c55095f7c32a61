import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { catalogue } from "../../src/cli/ConfigCatalogue.ts"
import { BackupDocument, ConfigDocument, IssuedDocument, PsDocument, TokensDocument } from "../../src/cli/Documents.ts"
import { document, eventually, failure, makeHome, service, smithers } from "./Smithers.ts"

layer(NodeContext.layer, { excludeTestServices: true })("without a service", (it) => {
  it.scoped(
    "a backup made while the service runs is verified, and restored to a new home has the same runs",
    () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const home = yield* makeHome
        const first = yield* service(`${home}/first`)
        yield* smithers(["run", "greet", "--input", `{"name":"Ada"}`, "--run-id", "kept"], first.env)
        yield* eventually("kept", "RunStatusChanged", first.env)
        const made = yield* document(BackupDocument, yield* smithers(["backup", "create", "--json"], first.env))
        assert.isTrue(made.file.startsWith(`${home}/first/backups/`))
        const before = yield* document(PsDocument, yield* smithers(["ps", "--json"], first.env))

        assert.strictEqual((yield* smithers(["backup", "verify", made.file], {})).code, 0)
        assert.strictEqual((yield* smithers(["backup", "verify", `${home}/none`], {})).code, 5)
        assert.strictEqual((yield* smithers(["backup", "create", "--to", made.file], first.env)).code, 6)
        assert.strictEqual((yield* smithers(["backup", "restore", made.file], first.env)).code, 6)

        const env = { SMITHERS_HOME: `${home}/second` }
        yield* document(BackupDocument, yield* smithers(["backup", "restore", made.file, "--json"], env))
        assert.strictEqual((yield* smithers(["backup", "restore", made.file], env)).code, 6)
        const second = yield* service(`${home}/second`)
        const after = yield* document(PsDocument, yield* smithers(["ps", "--json"], second.env))
        assert.deepStrictEqual(
          after.runs.map(({ runId, status }) => [runId, status]),
          before.runs.map(({ runId, status }) => [runId, status])
        )

        yield* fs.writeFileString(made.file, "damaged")
        assert.strictEqual((yield* smithers(["backup", "verify", made.file], {})).code, 1)
      }),
    60_000
  )

  it.scoped("tokens of a home whose service does not run are made in the home itself", () =>
    Effect.gen(function*() {
      const home = yield* makeHome
      const env = { SMITHERS_HOME: home }
      const none = yield* smithers(["token", "list", "--json"], env)
      assert.strictEqual(none.code, 5)
      assert.strictEqual((yield* failure(none)).code, "NO_HOME")

      const first = yield* service(home)
      yield* first.kill("SIGTERM")
      yield* first.ended
      const { token } = yield* document(IssuedDocument, yield* smithers(["token", "issue", "--json"], env))
      const { tokens } = yield* document(TokensDocument, yield* smithers(["token", "list", "--json"], env))
      assert.deepStrictEqual(tokens.map(({ origin }) => origin).sort(), ["admin", "issued"])
      yield* service(home)
      assert.strictEqual((yield* smithers(["ps", "--token", token], env)).code, 0)
    }), 60_000)

  it.scoped("config shows every setting with its source, and no secret", () =>
    Effect.gen(function*() {
      const env = { SMITHERS_HOME: "/somewhere", SMITHERS_ADMIN_TOKEN: "hush-hush", SMITHERS_TOKEN: "quiet" }
      const json = yield* smithers(["config", "--json"], env)
      const { problems, settings } = yield* document(ConfigDocument, json)
      assert.deepStrictEqual(problems, [])
      assert.deepStrictEqual(settings.map(({ key }) => key), catalogue.map(({ key }) => key))
      const shown = new Map(settings.map((setting) => [setting.key, setting]))
      assert.strictEqual(shown.get("SMITHERS_ADMIN_TOKEN")?.value, "<redacted>")
      assert.strictEqual(shown.get("SMITHERS_HOME")?.value, "/somewhere")
      assert.strictEqual(shown.get("SMITHERS_HOME")?.source, "env")
      assert.strictEqual(shown.get("SMITHERS_PORT")?.source, "default")
      const table = yield* smithers(["config"], env)
      for (const secret of ["hush-hush", "quiet"]) assert.notInclude(json.stdout + table.stdout, secret)

      const bad = yield* smithers(["config", "--json"], { SMITHERS_PORT: "-1", SMITHERS_SYNCHRONOUS: "maybe" })
      assert.strictEqual(bad.code, 2)
      assert.deepStrictEqual(
        (yield* document(ConfigDocument, bad)).problems.map(({ key }) => key).sort(),
        ["SMITHERS_PORT", "SMITHERS_SYNCHRONOUS"]
      )
    }))
})
