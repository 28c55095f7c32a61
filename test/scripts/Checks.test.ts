import { spawnSync } from "node:child_process"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { afterAll, assert, describe, it } from "vitest"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "smithers-checks-"))
afterAll(() => fs.rmSync(folder, { recursive: true }))
fs.writeFileSync(
  path.join(folder, "package.json"),
  JSON.stringify({ scripts: { good: "echo looked", bad: "echo a.ts:1 wrong && exit 2" } })
)

const checks = (...scripts: ReadonlyArray<string>) =>
  spawnSync(process.execPath, [path.resolve("scripts/checks.mjs"), ...scripts], { cwd: folder, encoding: "utf8" })

describe("checks", () => {
  it("end with 0 when all of them passed", () => {
    const { status, stdout } = checks("good")
    assert.strictEqual(stdout, "passed: good\nlooked\n")
    assert.strictEqual(status, 0)
  })

  it("end with 1 when one failed, and say what it and all others found", () => {
    const { status, stdout } = checks("bad", "good", "good")
    assert.include(stdout, "FAILED: bad\na.ts:1 wrong\n")
    assert.strictEqual(stdout.split("passed: good\nlooked\n").length, 3)
    assert.strictEqual(status, 1)
  })
})
