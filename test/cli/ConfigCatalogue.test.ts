import { assert, describe, it } from "@effect/vitest"
import fs from "node:fs"
import path from "node:path"
import { catalogue } from "../../src/cli/ConfigCatalogue.ts"

const sources = fs.readdirSync("src", { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  // What a sandbox tells its command is no setting of ours.
  .filter((name) => name !== path.join("cli", "InsideRun.ts"))
  .map((name) => fs.readFileSync(path.join("src", name), "utf8"))

/** Keys that `Config` is asked for. All are nested under SMITHERS, but for the `PATH` of the operating system. */
const readKeys = new Set(
  sources.flatMap((text) => [
    ...text.matchAll(/Config\s*\.[a-zA-Z]+\("([A-Z0-9_]+)"\)/g),
    ...text.matchAll(/Schema\s*\.Config\("([A-Z0-9_]+)"/g),
    ...text.matchAll(/Config\s*\.literal\([^)]*\)\("([A-Z0-9_]+)"\)/g),
    ...text.matchAll(/Config\s*\.(?:array|hashSet|chunk)\([^"]*"([A-Z0-9_]+)"\)/g)
  ]).flatMap(([, key]) => key === undefined || key === "PATH" ? [] : [`SMITHERS_${key}`])
)

describe("ConfigCatalogue", () => {
  it("has every key that is read, and no other", () => {
    const listed = new Set(catalogue.map(({ key }) => key))
    assert.deepStrictEqual([...readKeys].filter((key) => !listed.has(key)), [])
    assert.isTrue(readKeys.has("SMITHERS_SYNCHRONOUS") && readKeys.has("SMITHERS_ALLOWED_ORIGINS"))
    assert.deepStrictEqual([...listed].filter((key) => !readKeys.has(key)), [])
  })

  it("is what the README's table lists", ({ skip }) => {
    if (!fs.existsSync("README.md")) return skip("there is no README yet")
    const readme = fs.readFileSync("README.md", "utf8")
    const rows = [...readme.matchAll(/^\| `(SMITHERS_[A-Z0-9_]+)` \|/gm)].map(([, key]) => key)
    assert.deepStrictEqual(rows, catalogue.map(({ key }) => key))
  })
})
