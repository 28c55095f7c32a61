// What dist/ was built from, so that set-up knows when to build again.
import { createHash } from "node:crypto"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join, relative } from "node:path"

const inputs = [
  "package.json",
  "package-lock.json",
  "tsconfig.json",
  "scripts/tsconfig.build.json",
  "scripts/build.mjs",
  "scripts/bundle.mjs",
  "scripts/directImports.mjs",
  "scripts/gate.mjs",
  "scripts/packages.mjs"
]

/** @param {string} root */
const stampFile = (root) => join(root, "dist/.built-from")

/** By content, not by time: a checkout touches times and not contents. @param {string} root */
export const sourcesHash = (root) => {
  const sources = readdirSync(join(root, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
  const hash = createHash("sha256")
  for (const file of [...inputs, ...sources.sort()]) {
    hash.update(`${file}\0`).update(readFileSync(join(root, file))).update("\0")
  }
  return hash.digest("hex")
}

/** @param {string} root */
export const builtHash = (root) => existsSync(stampFile(root)) ? readFileSync(stampFile(root), "utf8") : undefined

/** @param {string} root @param {string} hash */
export const writeBuiltHash = (root, hash) => writeFileSync(stampFile(root), hash)
