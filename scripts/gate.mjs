// What a build says of itself: its commit, and whether the gate was seen green on it. `node scripts/gate.mjs` is the last
// step of `verify`: it remembers the commit that passed, and tells what was built. No times: a build can be made again.
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { builtHash, sourcesHash } from "./sources.mjs"

/** @param {string} root @param {ReadonlyArray<string>} args */
const git = (root, args) => {
  const { status, stdout } = spawnSync("git", args, { cwd: root, encoding: "utf8" })
  return status === 0 ? stdout.trim() : undefined
}

/** Where a checkout stands; `root` itself must be one. @param {string} root */
const stateOf = (root) => {
  const commit = existsSync(join(root, ".git")) ? git(root, ["rev-parse", "HEAD"]) : undefined
  return { commit: commit ?? null, dirty: commit !== undefined && git(root, ["status", "--porcelain"]) !== "" }
}

/** In the repository's own folder, where it makes nothing dirty. @param {string} root */
const passedFile = (root) => resolve(root, git(root, ["rev-parse", "--git-path", "smithers-verified"]) ?? "")

/** The checks and tests have passed on what lies here: worth remembering when it is a commit. @param {string} root */
const remember = (root) => {
  const { commit, dirty } = stateOf(root)
  if (commit === null || dirty) return
  writeFileSync(passedFile(root), commit)
}

/** @param {string} root @param {string} folder */
export const writeBuildRecord = (root, folder) => {
  const state = stateOf(root)
  const passed = () => existsSync(passedFile(root)) ? readFileSync(passedFile(root), "utf8") : undefined
  const record = { ...state, verified: state.commit !== null && !state.dirty && passed() === state.commit }
  writeFileSync(join(folder, "build.json"), `${JSON.stringify(record)}\n`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = process.cwd()
  remember(root)
  // Of other sources than these, the build has not passed.
  if (builtHash(root) === sourcesHash(root)) writeBuildRecord(root, join(root, "dist"))
}
