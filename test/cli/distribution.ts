import { buildSync } from "esbuild"
import { createHash } from "node:crypto"
import fs from "node:fs"
import path from "node:path"
import { bundleProgram } from "../../scripts/bundle.mjs"
import { importDirectly } from "../../scripts/directImports.mjs"
import { builtHash, sourcesHash } from "../../scripts/sources.mjs"

const root = process.cwd()

const sources = (folder: string): ReadonlyArray<string> =>
  fs.readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => path.join(folder, name))
    .filter((file) => file.endsWith(".ts") && !file.includes(`${path.sep}console${path.sep}`))
    .sort()

/** Those of an hour ago; younger ones may be in use by another test run. */
const removeOld = (folder: string) => {
  if (!fs.existsSync(folder)) return
  for (const name of fs.readdirSync(folder)) {
    const old = path.join(folder, name)
    if (Date.now() - fs.statSync(old).mtimeMs > 3_600_000) fs.rmSync(old, { recursive: true, force: true })
  }
}

/**
 * The program as users have it: `dist/` if it is what the sources say, else what `npm run build` makes of them without
 * its type check and without the console, once for each state of the sources.
 */
export const distribution = (): string => {
  const built = path.join(root, "dist/main.js")
  if (fs.existsSync(built) && builtHash(root) === sourcesHash(root)) return built
  const src = path.join(root, "src")
  const files = sources(src)
  const hash = createHash("sha256")
  for (const file of [...files, path.join(root, "package.json")]) hash.update(file).update(fs.readFileSync(file))
  const home = path.join(root, "node_modules/.cache/test-dist", hash.digest("hex").slice(0, 16))
  const main = path.join(home, "dist/main.js")
  if (fs.existsSync(main)) return main
  removeOld(path.dirname(home))
  const fresh = `${home}-${process.pid}`
  const { outputFiles } = buildSync({
    entryPoints: [...files],
    outdir: path.join(fresh, "dist"),
    outbase: src,
    write: false,
    format: "esm",
    platform: "node",
    target: "node20",
    logLevel: "error"
  })
  for (const { path: file, text } of outputFiles) {
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, text.replaceAll(/((?:from |import )"|import\(")(\.[^"]*)\.ts"/g, "$1$2.js\""))
  }
  importDirectly(root, path.join(fresh, "dist"))
  bundleProgram(path.join(fresh, "dist"))
  fs.copyFileSync(path.join(root, "package.json"), path.join(fresh, "package.json"))
  fs.renameSync(fresh, home)
  return main
}
