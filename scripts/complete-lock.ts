// Run after `npm install` when `check:deps` reports incomplete-lock:
//   node scripts/run.mjs scripts/complete-lock.ts
// A registry mirror may lack the binaries of other platforms. npm then leaves them out of package-lock.json without a
// word, and `npm ci` refuses the lock file everywhere. Their names say what they are for; npm never fetches them here.
import fs from "node:fs"
import { type LockedPackage, missingOptionals } from "./check-deps.ts"

const systems = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"]
const processors = ["arm", "arm64", "ia32", "loong64", "ppc64", "riscv64", "s390x", "x64"]

const lock = JSON.parse(fs.readFileSync("package-lock.json", "utf8")) as { packages: Record<string, LockedPackage> }
const missing = missingOptionals(lock.packages)

for (const { name, parent, version } of missing) {
  const words = name.slice(name.lastIndexOf("/") + 1).split("-")
  const [system] = systems.filter((system) => words.includes(system))
  const [processor] = processors.filter((processor) => words.includes(processor))
  if (system === undefined || processor === undefined) throw new Error(`${name} does not say its platform`)
  const libc = system !== "linux"
    ? undefined
    : words.some((word) => word.startsWith("musl"))
    ? "musl"
    : words.some((word) => word.startsWith("gnu"))
    ? "glibc"
    : undefined
  lock.packages[`node_modules/${name}`] = {
    version,
    cpu: [processor],
    ...(lock.packages[parent]?.dev === true && { dev: true }),
    ...(libc !== undefined && { libc: [libc] }),
    optional: true,
    os: [system]
  }
}

lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, "en")))
fs.writeFileSync("package-lock.json", `${JSON.stringify(lock, null, 2)}\n`)
console.log(`added ${missing.length} packages of other platforms`)
