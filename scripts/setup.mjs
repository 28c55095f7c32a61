// Brings a fresh clone to the point where it can start or be tested. Node builtins only: nothing is installed yet.
//   node scripts/setup.mjs           packages, database driver, build
//   node scripts/setup.mjs --test    also the system programs that tests drive
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"
import { builtHash, sourcesHash } from "./sources.mjs"

const root = fileURLToPath(new URL("..", import.meta.url))
const ci = process.env.CI === "true"
const stampFile = join(root, "node_modules/.smithers-setup")

/** @param {string} line */
const say = (line) => process.stdout.write(`setup: ${line}\n`)

/** @type {(line: string) => never} */
const fail = (line) => {
  process.stderr.write(`setup: ${line}\n`)
  process.exit(1)
}

/** @param {string} command @param {ReadonlyArray<string>} args */
const succeeds = (command, args) => spawnSync(command, args, { cwd: root, stdio: "inherit" }).status === 0

/** @param {string} program */
const isOnPath = (program) =>
  (process.env.PATH ?? "").split(delimiter).some((folder) => existsSync(join(folder, program)))

const checkNode = () => {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  if (major < 20 || (major === 20 && minor < 19)) {
    fail(`Node ${process.versions.node} is too old, 20.19 or newer is needed`)
  }
  if (major > 24 || (major === 24 && minor >= 19)) {
    fail(`Node ${process.versions.node} aborts under the pinned SQLite driver, one before 24.19 is needed`)
  }
}

/** npm's own record of what it put into node_modules, so that a plain `npm install` also counts as up to date. */
const holdsWhatIsLocked = () => {
  const installedFile = join(root, "node_modules/.package-lock.json")
  if (!existsSync(installedFile)) return false
  const { packages: installed } = JSON.parse(readFileSync(installedFile, "utf8"))
  const { packages: locked } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"))
  return Object.entries(locked).every(([path, { optional, version }]) =>
    path === "" || (installed[path] === undefined ? optional === true : installed[path].version === version)
  )
}

/** Opens a database in a child process: a driver that failed to load cannot be loaded again in the same one. */
const probeDriver = () =>
  spawnSync(process.execPath, [
    "-e",
    "process.stdout.write(new (require('better-sqlite3'))(':memory:').prepare('SELECT sqlite_version()').pluck().get())"
  ], { cwd: root, encoding: "utf8" })

const installPackages = () => {
  const lock = createHash("sha256").update(readFileSync(join(root, "package-lock.json"))).digest("hex")
  const stamp = `${lock} ${process.versions.modules}\n`
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return

  if (!holdsWhatIsLocked()) {
    say("installing packages (npm ci)")
    if (!succeeds("npm", ["ci", "--include=dev", "--no-audit", "--no-fund"])) fail("npm ci failed, see above")
  }
  let probe = probeDriver()
  if (probe.status !== 0) {
    say(`compiling better-sqlite3 for Node ${process.versions.node}`)
    succeeds("npm", ["rebuild", "better-sqlite3"])
    probe = probeDriver()
  }
  if (probe.status !== 0) {
    const cause = probe.stderr.split("\n").find((line) => line.includes("Error")) ?? probe.stderr
    fail(
      `better-sqlite3 does not load on Node ${process.versions.node} (ABI ${process.versions.modules}): ${cause.trim()}\n` +
        "setup: `npm rebuild better-sqlite3` shows why; where no prebuilt binary fits it needs python3, make and g++, " +
        "and package.json must list better-sqlite3 under allowScripts"
    )
  }
  say(`better-sqlite3 works, SQLite ${probe.stdout}`)
  writeFileSync(stampFile, stamp)
}

const build = () => {
  if (builtHash(root) === sourcesHash(root)) return
  say("building dist")
  if (!succeeds("npm", ["run", "--silent", "build"])) fail("the build failed, see above")
}

const systemPrograms = [
  { program: "bwrap", aptPackage: "bubblewrap", tests: "sandbox tests" },
  { program: "perl", aptPackage: "perl", tests: "proofs of a sandbox from inside, and attacks on it" },
  { program: "chromium", aptPackage: "chromium", tests: "console tests in a browser" }
]

const installSystemPrograms = () => {
  const missing = systemPrograms.filter(({ program }) => !isOnPath(program))
  if (missing.length === 0) return

  const names = missing.map(({ aptPackage }) => aptPackage)
  const sudo = process.getuid?.() === 0 ? [] : ci && isOnPath("sudo") ? ["sudo", "-n"] : undefined
  if (isOnPath("apt-get") && sudo !== undefined) {
    say(`installing ${names.join(", ")} (apt-get)`)
    const apt = (/** @type {ReadonlyArray<string>} */ args) => {
      const [command = "", ...rest] = [...sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", ...args]
      return succeeds(command, rest)
    }
    if (!apt(["update"]) || !apt(["install", "-y", "--no-install-recommends", ...names])) {
      say("apt-get failed, see above")
    }
  }
  for (const { aptPackage, program, tests } of missing) {
    if (isOnPath(program)) continue
    if (ci) {
      fail(`${program} is missing and could not be installed (package ${aptPackage}); with CI=true nothing is skipped`)
    }
    say(`!! ${program} is missing: ${tests} WILL BE SKIPPED. Install the package ${aptPackage} to run them.`)
  }
}

checkNode()
installPackages()
if (process.argv.includes("--test")) installSystemPrograms()
if (!process.argv.includes("--no-build")) build()
