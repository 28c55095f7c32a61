import { CommandExecutor, FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber, Layer, Redacted, TestClock } from "effect"
import { execFileSync } from "node:child_process"
import fs from "node:fs"
import net from "node:net"
import path from "node:path"
import {
  CommandProvider,
  EnvironmentProvider,
  FileProvider,
  InvalidSecretInput,
  MemoryProvider,
  type SecretProvider,
  SecretProviders
} from "../../src/secrets/index.ts"
import { alnum, draw } from "./support.ts"

const secret = draw(alnum, 24, "providers")

/** The value, or tag and reason of the error, which must not quote the secret. */
const outcome = (provider: SecretProvider, name: string) =>
  Effect.match(provider.read(name), {
    onSuccess: Redacted.value,
    onFailure: (error) => {
      assert.strictEqual(error.provider, provider.id)
      assert.strictEqual(error.secretName, name)
      assert.notInclude(JSON.stringify(error) + String(error.stack) + error.message, secret)
      return error._tag === "SecretNotFound" ? error._tag : error.reason
    }
  })

const temporary = Effect.map(
  Effect.flatMap(FileSystem.FileSystem, (files) => files.makeTempDirectoryScoped()),
  (directory) => (name: string, content: string | Uint8Array, mode = 0o600) => {
    const file = path.join(directory, name)
    fs.writeFileSync(file, content)
    fs.chmodSync(file, mode)
    return file
  }
)

describe("the environment", () => {
  it.effect("gives what the ConfigProvider had when the provider was made", () =>
    Effect.gen(function*() {
      const provider = yield* Effect.withConfigProvider(
        EnvironmentProvider.make,
        ConfigProvider.fromMap(new Map([["API_KEY", secret], ["_x", "12345678"]]), { pathDelim: "_" })
      )
      assert.strictEqual(yield* outcome(provider, "API_KEY"), secret)
      assert.strictEqual(yield* outcome(provider, "OTHER"), "SecretNotFound")
      for (const name of ["", "A B", "1A", "A=B", "__proto__.x", "API_KEY[0]"]) {
        assert.strictEqual(yield* outcome(provider, name), "SecretNotFound", name)
      }
    }))

  it.effect("is the one of the process unless another one is provided", () =>
    Effect.gen(function*() {
      process.env["SMITHERS_TEST_SECRET"] = secret
      yield* Effect.addFinalizer(() => Effect.sync(() => delete process.env["SMITHERS_TEST_SECRET"]))
      const provider = yield* EnvironmentProvider.make.pipe(Effect.withConfigProvider(ConfigProvider.fromEnv()))
      assert.strictEqual(yield* outcome(provider, "SMITHERS_TEST_SECRET"), secret)
    }).pipe(Effect.scoped))
})

describe("a file", () => {
  const provider = FileProvider.make()
  const withFiles = it.scoped

  withFiles("gives its text, without one line end after it", () =>
    Effect.gen(function*() {
      const file = yield* temporary
      assert.strictEqual(yield* outcome(provider, file("a", secret)), secret)
      assert.strictEqual(yield* outcome(provider, file("b", `${secret}\n`)), secret)
      assert.strictEqual(yield* outcome(provider, file("c", `${secret}\r\n`, 0o400)), secret)
      assert.strictEqual(yield* outcome(provider, file("d", `a\n${secret}\n\n`)), `a\n${secret}\n`)
    }).pipe(Effect.provide(NodeContext.layer)))

  for (const mode of [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o777]) {
    withFiles(`of mode ${mode.toString(8)} is refused: others may use it`, () =>
      Effect.gen(function*() {
        const file = (yield* temporary)("open", secret, mode)
        const error = yield* Effect.flip(provider.read(file))
        assert.include(error.message, `its mode is 0${mode.toString(8)}`)
        assert.strictEqual(yield* outcome(provider, file), "Exposed")
      }).pipe(Effect.provide(NodeContext.layer)))
  }

  withFiles("that is none, is missing, too large or no text is refused", () =>
    Effect.gen(function*() {
      const file = yield* temporary
      const directory = path.dirname(file("x", ""))
      assert.strictEqual(yield* outcome(provider, path.join(directory, "missing")), "SecretNotFound")
      assert.strictEqual(yield* outcome(provider, path.join(file("f", "x"), "below")), "SecretNotFound")
      fs.mkdirSync(path.join(directory, "dir"), { mode: 0o700 })
      assert.strictEqual(yield* outcome(provider, path.join(directory, "dir")), "Unreadable")
      assert.strictEqual(yield* outcome(provider, file("large", "x".repeat(65_537))), "TooLarge")
      assert.strictEqual(yield* outcome(provider, file("fits", "x".repeat(65_536))), "x".repeat(65_536))
      assert.strictEqual(yield* outcome(provider, file("bytes", Uint8Array.of(0xff, 0xfe, 0x41))), "NotText")
      assert.strictEqual(yield* outcome(provider, "/dev/zero"), "Unreadable")
    }).pipe(Effect.provide(NodeContext.layer)))

  withFiles("that would block is refused at once: a FIFO without a writer, a socket", () =>
    Effect.gen(function*() {
      const directory = path.dirname((yield* temporary)("x", ""))
      const fifo = path.join(directory, "fifo")
      execFileSync("mkfifo", ["-m", "600", fifo])
      assert.strictEqual(yield* outcome(provider, fifo), "Unreadable")
      const socket = path.join(directory, "socket")
      yield* Effect.acquireRelease(
        Effect.async<net.Server>((resume) => {
          const server = net.createServer().listen(socket, () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      assert.strictEqual(yield* outcome(provider, socket), "Unreadable")
    }).pipe(Effect.provide(NodeContext.layer)))

  withFiles(
    "is named by an absolute path without .., within the directories of the operator",
    () =>
      Effect.gen(function*() {
        const file = yield* temporary
        const inside = file("inside", secret)
        const directory = path.dirname(inside)
        for (const name of ["inside", "./inside", `${directory}/../${path.basename(directory)}/inside`, "", "~/x"]) {
          assert.strictEqual(yield* outcome(provider, name), "Unreadable", name)
        }
        const bounded = FileProvider.make({ directories: [`${directory}/`] })
        assert.strictEqual(yield* outcome(bounded, inside), secret)
        assert.strictEqual(yield* outcome(bounded, `${directory}x/inside`), "Unreadable")
        assert.strictEqual(yield* outcome(FileProvider.make({ directories: ["/nowhere"] }), inside), "Unreadable")
      }).pipe(Effect.provide(NodeContext.layer))
  )

  withFiles("may be reached by a link: what is checked is what is read", () =>
    Effect.gen(function*() {
      const file = yield* temporary
      const target = file("target", secret)
      const link = `${target}-link`
      fs.symlinkSync(target, link)
      assert.strictEqual(yield* outcome(provider, link), secret)
      fs.chmodSync(target, 0o644)
      assert.strictEqual(yield* outcome(provider, link), "Exposed")
    }).pipe(Effect.provide(NodeContext.layer)))
})

const node = (script: string) => [process.execPath, "-e", script, "--", "{name}"]
const command = (script: string, options: Partial<CommandProvider.Options> = {}) =>
  CommandProvider.make({ argv: node(script), ...options })

describe("a program of a secret manager", () => {
  it.effect("prints the secret of the name that it gets as an argument, never through a shell", () =>
    Effect.gen(function*() {
      const echo = yield* command("process.stdout.write(process.argv[1] + '\\n')")
      for (const name of ["secret/deploy", "a b", "$(id) `id` ; rm -rf / | cat > x", "$&", "{name}", "--help"]) {
        assert.strictEqual(yield* outcome(echo, name), name)
      }
      const within = yield* CommandProvider.make({ id: "vault", argv: ["printf", "%s", "kv/{name}/{name}"] })
      assert.strictEqual(yield* outcome(within, "x"), "kv/x/x")
      assert.strictEqual(within.id, "vault")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.effect("that fails says no more than its exit code; what it wrote to standard error is gone", () =>
    Effect.gen(function*() {
      const failing = yield* command(
        `process.stderr.write("${secret}".repeat(10_000)); process.stdout.write("${secret}"); process.exitCode = 3`
      )
      const error = yield* Effect.flip(failing.read("x"))
      assert.strictEqual(error.message, `Secret cmd:x is unavailable: ${process.execPath} ended with exit code 3`)
      assert.strictEqual(yield* outcome(failing, "x"), "Failed")
      const killed = yield* command("process.kill(process.pid, 'SIGKILL')")
      assert.strictEqual(yield* outcome(killed, "x"), "Failed")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.effect("says by its exit code that there is no such secret", () =>
    Effect.gen(function*() {
      const provider = yield* command("process.exitCode = 2", { notFoundCodes: [2, 44] })
      assert.strictEqual(yield* outcome(provider, "x"), "SecretNotFound")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.effect("that cannot be executed is named, without its arguments", () =>
    Effect.gen(function*() {
      const missing = yield* CommandProvider.make({ argv: ["/nowhere/vault", secret, "{name}"] })
      assert.strictEqual(yield* outcome(missing, "x"), "Failed")
      assert.include((yield* Effect.flip(missing.read("x"))).message, "/nowhere/vault did not run (NotFound)")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.effect("that prints too much, or no text, is refused", () =>
    Effect.gen(function*() {
      const endless = yield* command("const w = () => process.stdout.write('x'.repeat(65536), w); w()")
      assert.strictEqual(yield* outcome(endless, "x"), "TooLarge")
      const bytes = yield* command("process.stdout.write(Buffer.from([0xff, 0xfe]))")
      assert.strictEqual(yield* outcome(bytes, "x"), "NotText")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.effect("gets no input, and the environment of the operator if one is given", () =>
    Effect.gen(function*() {
      process.env["SMITHERS_TEST_SECRET"] = "inherited"
      yield* Effect.addFinalizer(() => Effect.sync(() => delete process.env["SMITHERS_TEST_SECRET"]))
      const script = "process.stdin.resume().on('end', () => process.stdout.write(JSON.stringify(process.env)))"
      const inherited = yield* command(script)
      assert.include(yield* outcome(inherited, "x"), "\"inherited\"")
      const own = yield* command(script, { environment: { VAULT_ADDR: "http://127.0.0.1:8200" } })
      assert.deepStrictEqual(JSON.parse(yield* outcome(own, "x")), { VAULT_ADDR: "http://127.0.0.1:8200" })
    }).pipe(Effect.scoped, Effect.provide(NodeContext.layer)))

  /** Starts like the executor does, and completes when the program has printed something: then it is in full swing. */
  const watched = Effect.gen(function*() {
    const executor = yield* CommandExecutor.CommandExecutor
    const pids: Array<number> = []
    const layer = Layer.succeed(CommandExecutor.CommandExecutor, {
      ...executor,
      start: (given) => Effect.tap(executor.start(given), (started) => Effect.sync(() => pids.push(started.pid)))
    })
    return { layer, pids }
  })

  /** Also false for what has ended and waits for somebody to ask how. */
  const alive = (pid: number): boolean =>
    fs.existsSync(`/proc/${pid}/stat`) && !/\) [ZX] /.test(fs.readFileSync(`/proc/${pid}/stat`, "utf8"))

  const stubborn = "process.on('SIGTERM', () => {}); process.on('SIGHUP', () => {}); " +
    "require('fs').writeFileSync(process.argv[1], ''); setInterval(() => {}, 1000)"

  const gone = (pid: number): Effect.Effect<void> =>
    Effect.async<void>((resume) => {
      const look = () => alive(pid) ? setImmediate(look) : resume(Effect.void)
      look()
    })

  const started = (file: string): Effect.Effect<void> =>
    Effect.async<void>((resume) => {
      const look = () =>
        fs.existsSync(file) && (fs.readFileSync(file, "utf8") !== "" || !file.endsWith("-pid"))
          ? resume(Effect.void)
          : setImmediate(look)
      look()
    })

  it.scoped("that does not answer in time is killed, though it ignores SIGTERM", () =>
    Effect.gen(function*() {
      const { layer, pids } = yield* watched
      const mark = `${(yield* temporary)("x", "")}-started`
      const provider = yield* Effect.provide(command(stubborn, { timeout: "5 seconds" }), layer)
      const fiber = yield* Effect.fork(outcome(provider, mark))
      yield* started(mark)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), "TimedOut")
      assert.isFalse(alive(pids[0]!))
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("that leaves somebody behind who keeps its output open is not waited for, and he is killed", () =>
    Effect.gen(function*() {
      const mark = `${(yield* temporary)("x", "")}-pid`
      const left = `setInterval(() => {}, 1000); require('fs').writeFileSync(process.argv[1], String(process.pid))`
      const provider = yield* command(
        `require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(left)}, '--', process.argv[1]], ` +
          "{ stdio: 'inherit' }).unref()",
        { timeout: "5 seconds" }
      )
      const fiber = yield* Effect.fork(outcome(provider, mark))
      yield* started(mark)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), "TimedOut")
      const pid = Number(fs.readFileSync(mark, "utf8"))
      yield* gone(pid)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("is killed when its use is interrupted", () =>
    Effect.gen(function*() {
      const { layer, pids } = yield* watched
      const mark = `${(yield* temporary)("x", "")}-started`
      const provider = yield* Effect.provide(command(stubborn), layer)
      const fiber = yield* Effect.fork(provider.read(mark))
      yield* started(mark)
      yield* Fiber.interrupt(fiber)
      assert.isFalse(alive(pids[0]!))
    }).pipe(Effect.provide(NodeContext.layer)))

  it.effect("must be well defined", () =>
    Effect.gen(function*() {
      const bad: ReadonlyArray<readonly [string, CommandProvider.Options]> = [
        ["argv[0]", { argv: [] }],
        ["argv[0]", { argv: ["", "{name}"] }],
        ["argv[0]", { argv: ["{name}", "{name}"] }],
        ["argv", { argv: ["vault"] }],
        ["argv", { argv: ["vault", "get"] }],
        ["timeout", { argv: ["vault", "{name}"], timeout: 0 }],
        ["timeout", { argv: ["vault", "{name}"], timeout: "3 minutes" }]
      ]
      for (const [field, options] of bad) {
        const error = yield* Effect.flip(CommandProvider.make(options))
        assert.instanceOf(error, InvalidSecretInput)
        assert.strictEqual(error.field, field)
      }
    }).pipe(Effect.provide(NodeContext.layer)))
})

it.effect("values in memory are found by their own names only", () =>
  Effect.gen(function*() {
    const provider = MemoryProvider.make({ key: Redacted.make(secret) })
    assert.strictEqual(yield* outcome(provider, "key"), secret)
    assert.strictEqual(yield* outcome(provider, "toString"), "SecretNotFound")
  }))

it.effect("the providers of the service are its environment, files, and the operator's programs", () =>
  Effect.gen(function*() {
    const configured = (commands: unknown) =>
      SecretProviders.SecretProviders.pipe(
        Effect.provide(SecretProviders.layerConfig),
        Effect.withConfigProvider(
          ConfigProvider.fromMap(new Map([["SMITHERS_SECRETS_COMMANDS", JSON.stringify(commands)], ["KEY", secret]]))
        )
      )
    const providers = yield* configured({ vault: ["printf", "of %s", "{name}"] })
    assert.deepStrictEqual([...providers.keys()], ["env", "file", "vault"])
    assert.strictEqual(yield* outcome(providers.get("vault")!, "x"), "of x")
    assert.strictEqual(yield* outcome(providers.get("env")!, "KEY"), secret)
    for (const bad of [{ Vault: ["x", "{name}"] }, { vault: "x {name}" }, { vault: ["x"] }, []]) {
      assert.isTrue((yield* Effect.either(configured(bad)))._tag === "Left", JSON.stringify(bad))
    }
  }).pipe(Effect.provide(NodeContext.layer)))
