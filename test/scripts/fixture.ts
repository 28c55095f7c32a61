import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { onTestFinished } from "vitest"

const root = process.cwd()

/** A project in a temporary folder, compiled by our own options against our own packages. */
export const fixture = (files: Readonly<Record<string, string>>): string => {
  const directory = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "smithers-check-")))
  onTestFinished(() => fs.rmSync(directory, { recursive: true }))
  fs.symlinkSync(path.join(root, "node_modules"), path.join(directory, "node_modules"))
  fs.copyFileSync(path.join(root, "tsconfig.json"), path.join(directory, "tsconfig.json"))
  const manifest = JSON.stringify({ name: "smithers-orchestrator", type: "module", engines: { node: ">=20.19" } })
  for (const [file, text] of Object.entries({ "package.json": manifest, ...files })) {
    fs.mkdirSync(path.dirname(path.join(directory, file)), { recursive: true })
    fs.writeFileSync(path.join(directory, file), text)
  }
  return directory
}
