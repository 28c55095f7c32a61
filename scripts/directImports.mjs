// `import { Effect } from "effect"` loads every module of the package; `import * as Effect from "effect/Effect"` loads
// what is asked for. Both give the same module, so a program may mix them. The sources say the former, dist/ the latter.
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"

const named = /^(import|export) \{ ([^}]+) \} from "(effect|@effect\/[\w-]+)";$/gm

/** What is left of an import of types. */
const empty = /^import \{\} from "(effect|@effect\/[\w-]+)";$/gm

/** What the barrel of `effect` does not export as a namespace are the functions of this module. */
const functions = "effect/Function"

/** @param {string} root */
const moduleNames = (root) => {
  const require = createRequire(join(root, "package.json"))
  /** @type {Map<string, Set<string>>} */
  const known = new Map()
  /** @param {string} name */
  return (name) => {
    const found = known.get(name) ?? new Set(readdirSync(join(dirname(require.resolve(name)), "../esm")))
    known.set(name, found)
    return found
  }
}

/** Rewrites the compiled files of a folder. @param {string} root @param {string} folder */
export const importDirectly = (root, folder) => {
  const modulesOf = moduleNames(root)
  /** @param {string} _ @param {string} verb @param {string} list @param {string} name */
  const direct = (_, verb, list, name) =>
    list.split(", ").map((entry) => {
      const [exported, local = exported] = entry.split(" as ")
      if (modulesOf(name).has(`${exported}.js`)) return `${verb} * as ${local} from "${name}/${exported}";`
      return `${verb} { ${entry} } from "${name === "effect" ? functions : name}";`
    }).join(" ")
  for (const file of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".js")) continue
    const path = join(folder, file)
    const text = readFileSync(path, "utf8")
    writeFileSync(path, text.replace(empty, "").replace(named, direct))
  }
}
