// The command line and the service as one file (and what it loads later, in files beside it), for src/main.ts.
import { buildSync } from "esbuild"
import { join } from "node:path"

/** What is native, or looks for its own files. */
const external = ["better-sqlite3", "esbuild"]

/** Packages that are CommonJS call `require`, which a module does not have. */
const banner =
  "import { createRequire as makeRequire } from \"node:module\"; const require = makeRequire(import.meta.url);"

/** Beside the folders of the compiled program, so that what it finds by its own place is found. @param {string} folder */
export const bundleProgram = (folder) =>
  buildSync({
    entryPoints: [join(folder, "program.js")],
    outdir: join(folder, "bundle"),
    bundle: true,
    splitting: true,
    platform: "node",
    format: "esm",
    target: "node20",
    external,
    banner: { js: banner },
    legalComments: "eof",
    logLevel: "error"
  })
