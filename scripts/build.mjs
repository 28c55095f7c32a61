// Builds into a fresh folder that then replaces dist/: no file of an earlier build stays behind, and a failed build
// leaves the old one in place.
import { spawnSync } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { build as bundle } from "vite"
import { bundleProgram } from "./bundle.mjs"
import { importDirectly } from "./directImports.mjs"
import { writeBuildRecord } from "./gate.mjs"
import { writePackages } from "./packages.mjs"
import { sourcesHash, writeBuiltHash } from "./sources.mjs"

const root = fileURLToPath(new URL("..", import.meta.url))
const dist = join(root, "dist")
const fresh = join(root, `.dist-${process.pid}`)
const replaced = `${fresh}-replaced`

const buildConsole = () =>
  bundle({
    configFile: false,
    root: join(root, "src/console"),
    base: "/console/",
    cacheDir: join(root, "node_modules/.cache/vite"),
    logLevel: "warn",
    esbuild: { jsx: "automatic" },
    resolve: { conditions: ["@app/source", "module", "browser", "production"] },
    build: { outDir: join(fresh, "console"), emptyOutDir: true, target: "es2022", chunkSizeWarningLimit: 2_000 }
  })

mkdirSync(fresh, { recursive: true })
try {
  const hash = sourcesHash(root)
  const tsc = join(root, "node_modules/typescript/bin/tsc")
  const compiled = spawnSync(process.execPath, [tsc, "-p", "scripts/tsconfig.build.json", "--outDir", fresh], {
    cwd: root,
    stdio: "inherit"
  })
  if (compiled.status !== 0) process.exitCode = 1
  else {
    importDirectly(root, fresh)
    if (existsSync(join(fresh, "program.js"))) bundleProgram(fresh)
    writePackages(root, fresh)
    if (existsSync(join(root, "src/console/index.html"))) await buildConsole()
    const main = join(fresh, "main.js")
    if (existsSync(main)) chmodSync(main, 0o755)
    writeBuildRecord(root, fresh)
    if (existsSync(dist)) renameSync(dist, replaced)
    renameSync(fresh, dist)
    writeBuiltHash(root, hash)
  }
} finally {
  rmSync(fresh, { recursive: true, force: true })
  rmSync(replaced, { recursive: true, force: true })
}
