// Runs a TypeScript program of this repository: node scripts/run.mjs scripts/check.ts architecture
// Node 20 does not strip types by itself. The program works on the current directory, not on import.meta.url.
import { build } from "esbuild"
import { readFileSync, rmSync } from "node:fs"
import { basename, join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const [entry, ...args] = process.argv.slice(2)
if (entry === undefined) throw new Error("usage: node scripts/run.mjs <entry.ts> [arguments]")

const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
const outfile = join(root, "node_modules/.cache/scripts", `${basename(entry, ".ts")}-${process.pid}.mjs`)
await build({
  absWorkingDir: root,
  entryPoints: [entry],
  outfile,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  conditions: ["@app/source"],
  // Not `packages: "external"`: that would also leave out our own subpath exports.
  external: Object.keys({ ...dependencies, ...devDependencies }),
  sourcemap: "inline",
  logLevel: "warning"
})
process.setSourceMapsEnabled(true)
process.argv = [process.execPath, join(root, entry), ...args]
process.on("exit", () => rmSync(outfile, { force: true }))
await import(pathToFileURL(outfile).href)
