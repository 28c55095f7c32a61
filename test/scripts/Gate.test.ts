import fs from "node:fs"
import { assert, describe, it } from "vitest"

const { scripts } = JSON.parse(fs.readFileSync("package.json", "utf8")) as {
  readonly scripts: Readonly<Record<string, string>>
}

describe("the gate", () => {
  it("verify runs every check that the seeds name, and CI runs verify", () => {
    const { verify = "" } = scripts
    for (const check of ["check:effect", "check:deps", "check:architecture", "typecheck", "test", "build"]) {
      assert.property(scripts, check)
      assert.match(verify, new RegExp(`[ :]${check}( |$)`), check)
    }
    const workflow = fs.readFileSync(".github/workflows/ci.yml", "utf8")
    assert.match(workflow, /^on:\n {2}pull_request:\n {2}push:\n {4}branches: \[main\]$/m)
    assert.include(workflow, "- run: .ci/run\n")
    assert.include(fs.readFileSync(".ci/run", "utf8"), "npm run verify")
  })
})
