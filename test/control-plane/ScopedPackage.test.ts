import { execFile } from "node:child_process"
import fs from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { promisify } from "node:util"
import { afterAll, assert, beforeAll, describe, it } from "vitest"

const root = process.cwd()
const scoped = path.join(root, "dist/packages/control-plane")

interface Manifest {
  readonly name: string
  readonly version: string
  readonly license: string
  readonly dependencies: Readonly<Record<string, string>>
}

const manifestOf = (folder: string) =>
  JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8")) as Manifest

/** The code of the seed, with its second import. */
const program = `
import Database from "better-sqlite3"
import { ControlPlaneStore } from "@smithers-orchestrator/control-plane"

const sqlite = new Database(":memory:")
const store = new ControlPlaneStore(sqlite)

const org = store.createOrg({ orgId: "org_acme", slug: "acme", name: "Acme" })
const project = store.createProject({ orgId: org.orgId, projectId: "project_app", slug: "app", name: "App" })
const metered = { orgId: org.orgId, projectId: project.projectId, metric: "agent_runtime_ms", unit: "ms" }
store.recordUsage({ ...metered, runId: "run_123", quantity: 42_000 })
store.setUsageLimit({ ...metered, period: "monthly", limitQuantity: 10_000_000 })
const quota = store.checkUsageLimit({ ...metered, period: "monthly" })
const audit = store.exportOrgAudit({ orgId: org.orgId })
console.log(quota?.remainingQuantity, audit.auditEvents.map(({ action }) => action).join())
`

const execute = promisify(execFile)

const ran = async (command: string, args: ReadonlyArray<string>, cwd: string) =>
  (await execute(command, args, { cwd, maxBuffer: 64 * 1_048_576 })).stdout

describe("@smithers-orchestrator/control-plane", () => {
  const home = fs.mkdtempSync(path.join(tmpdir(), "smithers-scoped-"))
  const modules = path.join(home, "node_modules")
  afterAll(() => {
    fs.rmSync(home, { recursive: true, force: true })
  })

  beforeAll(async () => {
    const packed = await ran(
      "npm",
      ["pack", "--offline", "--ignore-scripts", "--json", "--pack-destination", home, root, scoped],
      home
    )
    for (const { filename, name } of JSON.parse(packed) as ReadonlyArray<Record<"filename" | "name", string>>) {
      const folder = path.join(modules, name)
      fs.mkdirSync(folder, { recursive: true })
      // Some versions of npm say the name of the package where that of the file belongs.
      const file = path.join(home, path.basename(filename.replace("@", "").replace("/", "-")))
      await ran("tar", ["-xzf", file, "-C", folder, "--strip-components=1"], home)
    }
    for (const name of [...Object.keys(manifestOf(root).dependencies), "@types/better-sqlite3", "@types/node"]) {
      fs.mkdirSync(path.dirname(path.join(modules, name)), { recursive: true })
      fs.symlinkSync(path.join(root, "node_modules", name), path.join(modules, name))
    }
  }, 120_000)

  it("has name, version and licence of ours, and nothing but the exact version of the package it hands on", () => {
    const ours = manifestOf(root)
    const { dependencies, license, name, version } = manifestOf(
      path.join(modules, "@smithers-orchestrator/control-plane")
    )
    assert.deepStrictEqual({ dependencies, license, name, version }, {
      dependencies: { "smithers-orchestrator": ours.version },
      license: ours.license,
      name: "@smithers-orchestrator/control-plane",
      version: ours.version
    })
    assert.deepStrictEqual(fs.readdirSync(path.join(modules, name)).sort(), [
      "LICENSE",
      "index.d.ts",
      "index.js",
      "package.json"
    ])
    assert.isFalse(fs.existsSync(path.join(modules, "smithers-orchestrator/dist/packages")))
  })

  it("runs the code of the seed with the scoped import, as npm would install both packages", async () => {
    fs.writeFileSync(path.join(home, "seed.mjs"), program)
    assert.strictEqual(
      await ran(process.execPath, ["seed.mjs"], home),
      "9958000 org.create,project.create,usage_limit.upsert\n"
    )
  })

  it("has the types of the store, which its users' compiler finds", async () => {
    const wrong =
      `${program}\n// @ts-expect-error -- a quantity is a number\nstore.recordUsage({ ...metered, quantity: "1" })\n`
    fs.writeFileSync(path.join(home, "seed.mts"), wrong)
    const options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--target", "es2022"]
    await ran(process.execPath, [path.join(root, "node_modules/typescript/bin/tsc"), ...options, "seed.mts"], home)
  }, 120_000)
})
