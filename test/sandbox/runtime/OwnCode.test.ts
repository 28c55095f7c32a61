import { FileSystem } from "@effect/platform"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import fs from "node:fs"
import { bubblewrapWith, run } from "./support.ts"

const missing = !fs.existsSync("/usr/bin/bwrap")
const isRoot = process.getuid?.() === 0

/** A directory of code that is open to everybody, with a file beside it that is not part of it. */
const makeCode = Effect.gen(function*() {
  const home = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped({ prefix: "smithers-own-code-" })
  fs.mkdirSync(`${home}/lib`)
  fs.writeFileSync(`${home}/lib/word.mjs`, `export const word = "hello"\n`)
  fs.writeFileSync(`${home}/main.mjs`, `import { word } from "./lib/word.mjs"\nconsole.log(word, process.argv[2])\n`)
  fs.writeFileSync(`${home}/secret`, "secret")
  fs.chmodSync(home, 0o755)
  return home
})

describe.skipIf(missing)("code of the service in a bubblewrap sandbox", () => { // needs bwrap, which set-up installs
  layer(bubblewrapWith())((it) => {
    it.scoped("is executed by the node of the service, with what it imports", () =>
      Effect.gen(function*() {
        const home = yield* makeCode
        const ownCode = [`${home}/main.mjs`, `${home}/lib`]
        const { stderr, stdout } = yield* run([`${home}/main.mjs`, "you"], { ownCode })
        assert.deepStrictEqual([stdout, stderr], ["hello you\n", ""])
      }))

    it.scoped("cannot be changed, and what lies beside it is not there", () =>
      Effect.gen(function*() {
        const home = yield* makeCode
        // Anybody may, on the host.
        fs.chmodSync(`${home}/lib/word.mjs`, 0o666)
        fs.writeFileSync(
          `${home}/main.mjs`,
          `import fs from "node:fs"
          const trials = { read: (path) => fs.readFileSync(path), write: (path) => fs.appendFileSync(path, "x") }
          for (const [what, path] of process.argv.slice(2).map((text) => text.split("="))) {
            try { trials[what](path); console.log("done") } catch (error) { console.log(error.code) }
          }`
        )
        const tries = ["read=/lib/word.mjs", "write=/lib/word.mjs", "write=/main.mjs", "read=/secret"]
        const { stdout } = yield* run(
          [`${home}/main.mjs`, ...tries.map((text) => text.replace("=", `=${home}`))],
          { ownCode: [`${home}/main.mjs`, `${home}/lib`] }
        )
        const [read, write, writeCopy, readBeside] = stdout.trim().split("\n")
        assert.deepStrictEqual([read, write, readBeside], ["done", "EROFS", "ENOENT"])
        assert.notStrictEqual(writeCopy, "done")
      }))

    it.scoped("a file of it may be closed to other users, a directory may not: it is refused by its name", () =>
      Effect.gen(function*() {
        const home = yield* makeCode
        const ownCode = [`${home}/main.mjs`, `${home}/lib`]
        fs.chmodSync(`${home}/main.mjs`, 0o600)
        assert.strictEqual((yield* run([`${home}/main.mjs`], { ownCode })).exitCode, 0)
        fs.chmodSync(home, 0o700)
        if (!isRoot) return
        const error = yield* Effect.flip(run([`${home}/main.mjs`], { ownCode }))
        assert.include(error.message, `${home}/lib is code of this service and closed to other users`)
      }))

    it.scoped("that lies where a sandbox has something of its own, is not there, or is no path, is refused", () =>
      Effect.gen(function*() {
        const refused = (path: string) =>
          Effect.map(Effect.flip(run([path], { ownCode: [path] })), ({ message }) => message)
        assert.include(yield* refused("/etc/passwd"), "a sandbox has a /etc of its own")
        assert.include(yield* refused("/nowhere/main.mjs"), "/nowhere/main.mjs")
        assert.include(yield* refused("main.mjs"), "ownCode: must have at most 64 members, all absolute paths")
      }))
  })
})
