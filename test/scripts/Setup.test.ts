import { spawnSync } from "node:child_process"
import fs from "node:fs"
import path from "node:path"
import { assert, describe, it } from "vitest"
import { fixture } from "./fixture.ts"

const shim = (body: string) => `#!${process.execPath}\nconst fs = require("node:fs")\n${body}\n`

const record =
  "fs.appendFileSync(\"log\", [require('node:path').basename(__filename), ...process.argv.slice(2)].join(' ') + '\\n')"

const driver = "module.exports = class { prepare() { return { pluck: () => ({ get: () => '3.53.0' }) } } }"

const npm = shim(`
${record}
const [command, , script] = process.argv.slice(2)
if (command === "ci") {
  fs.mkdirSync("node_modules/better-sqlite3", { recursive: true })
  fs.writeFileSync("node_modules/better-sqlite3/index.js", fs.readFileSync("driver.js"))
}
if (script === "build") {
  fs.mkdirSync("dist", { recursive: true })
  import(process.cwd() + "/scripts/sources.mjs").then((s) => s.writeBuiltHash(process.cwd() + "/", s.sourcesHash(process.cwd() + "/")))
}`)

/** A clone in which only the set-up scripts are ours; npm, apt-get and the driver are stand-ins that keep a log. */
const clone = (files: Readonly<Record<string, string>> = {}) => {
  const directory = fixture({
    "package.json": "{}",
    "package-lock.json": JSON.stringify({ packages: { "": {}, "node_modules/better-sqlite3": { version: "1.0.0" } } }),
    "driver.js": driver,
    "src/main.ts": "1",
    "scripts/tsconfig.build.json": "{}",
    "scripts/build.mjs": "",
    "scripts/bundle.mjs": "",
    "scripts/directImports.mjs": "",
    "scripts/gate.mjs": "",
    "scripts/packages.mjs": "",
    "scripts/setup.mjs": fs.readFileSync("scripts/setup.mjs", "utf8"),
    "scripts/sources.mjs": fs.readFileSync("scripts/sources.mjs", "utf8"),
    "bin/npm": npm,
    ...files
  })
  fs.unlinkSync(path.join(directory, "node_modules"))
  fs.symlinkSync("/usr/bin/env", path.join(directory, "bin/env"))
  for (const program of fs.readdirSync(path.join(directory, "bin"))) {
    fs.chmodSync(path.join(directory, "bin", program), 0o755)
  }
  return {
    directory,
    write: (file: string, text: string) => fs.writeFileSync(path.join(directory, file), text),
    /** Runs set-up; answers what it ran, what it said and how it ended. */
    setup: (args: ReadonlyArray<string> = [], env: Readonly<Record<string, string>> = {}) => {
      const log = path.join(directory, "log")
      fs.writeFileSync(log, "")
      const { status, stderr, stdout } = spawnSync(process.execPath, ["scripts/setup.mjs", ...args], {
        cwd: directory,
        encoding: "utf8",
        env: { PATH: path.join(directory, "bin"), ...env }
      })
      return { ran: fs.readFileSync(log, "utf8").split("\n").filter(Boolean), said: stdout + stderr, status }
    }
  }
}

const ci = "npm ci --include=dev --no-audit --no-fund"
const build = "npm run --silent build"

describe("set-up", () => {
  it("installs, proves the driver and builds on a fresh clone, and does nothing the second time", () => {
    const { setup } = clone()
    const first = setup()
    assert.deepStrictEqual(first.ran, [ci, build])
    assert.include(first.said, "better-sqlite3 works, SQLite 3.53.0")
    assert.deepStrictEqual(setup(), { ran: [], said: "", status: 0 })
  })

  it("installs again when the lock file has changed", () => {
    const { setup, write } = clone()
    setup()
    write("package-lock.json", JSON.stringify({ packages: { "node_modules/better-sqlite3": { version: "2.0.0" } } }))
    assert.include(setup().ran, ci)
  })

  it("keeps packages that npm itself has put there at the locked versions", () => {
    const { setup, write } = clone()
    setup()
    const lock = JSON.stringify({ packages: { "node_modules/better-sqlite3": { version: "2.0.0" } } })
    write("package-lock.json", lock)
    write("node_modules/.package-lock.json", lock)
    assert.notInclude(setup().ran, ci)
  })

  it("builds again when a source has changed, by content and not by time", () => {
    const { directory, setup, write } = clone()
    setup()
    fs.utimesSync(path.join(directory, "src/main.ts"), 1, 1)
    assert.deepStrictEqual(setup().ran, [])
    write("src/main.ts", "2")
    assert.deepStrictEqual(setup().ran, [build])
  })

  it("compiles a driver that does not load, and says clearly when that does not help", () => {
    const { setup } = clone({ "driver.js": "throw new Error('compiled against another NODE_MODULE_VERSION')" })
    const { ran, said, status } = setup()
    assert.deepStrictEqual(ran, [ci, "npm rebuild better-sqlite3"])
    assert.include(said, "better-sqlite3 does not load on Node")
    assert.include(said, "compiled against another NODE_MODULE_VERSION")
    assert.strictEqual(status, 1)
  })

  it("stops when the packages cannot be installed", () => {
    const { setup } = clone({ "bin/npm": shim(`${record}\nprocess.exit(1)`) })
    assert.deepStrictEqual(setup(), {
      ran: [ci],
      said: "setup: installing packages (npm ci)\nsetup: npm ci failed, see above\n",
      status: 1
    })
  })

  it("says loudly which tests are skipped where a system program cannot be installed", () => {
    const { said, status } = clone().setup(["--test"])
    assert.include(said, "!! bwrap is missing: sandbox tests WILL BE SKIPPED")
    assert.include(said, "!! perl is missing: proofs of a sandbox from inside, and attacks on it WILL BE SKIPPED")
    assert.include(said, "!! chromium is missing: console tests in a browser WILL BE SKIPPED")
    assert.strictEqual(status, 0)
  })

  it("fails instead of skipping when CI=true", () => {
    const { said, status } = clone().setup(["--test"], { CI: "true" })
    assert.include(said, "with CI=true nothing is skipped")
    assert.strictEqual(status, 1)
  })

  it("installs missing system programs after an update of the package lists", () => {
    const install = `${record}\nfor (const p of ["bwrap", "perl", "chromium"]) fs.writeFileSync("bin/" + p, "")`
    const sudo = "require('node:child_process').spawnSync(process.argv[3], process.argv.slice(4), { stdio: 'inherit' })"
    const { setup } = clone({ "bin/apt-get": shim(install), "bin/sudo": shim(sudo) })
    const { ran, status } = setup(["--test"], { CI: "true" })
    assert.deepStrictEqual(ran.filter((line) => line.startsWith("apt-get")), [
      "apt-get -qq update",
      "apt-get -qq install -y --no-install-recommends bubblewrap perl chromium"
    ])
    assert.strictEqual(status, 0)
  })
})
