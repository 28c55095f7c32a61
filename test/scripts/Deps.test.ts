import { assert, describe, it } from "vitest"
import { knipFindings, lockFindings, manifestFindings, readmeFindings } from "../../scripts/check-deps.ts"
import { render } from "../../scripts/Finding.ts"
import { fixture } from "./fixture.ts"

const manifest = (parts: object) =>
  JSON.stringify({ name: "smithers-orchestrator", engines: { node: ">=20.19" }, ...parts }, null, 2)

const lock = (packages: object) => JSON.stringify({ packages: { "": {}, ...packages } }, null, 2)

describe("check:deps", () => {
  it("reports a range where one version must be named", () => {
    const directory = fixture({
      "package.json": manifest({ dependencies: { effect: "3.22.4" }, devDependencies: { vite: "^7.0.0" } })
    })
    assert.deepStrictEqual(manifestFindings(directory).map(render), [
      "package.json:10 exact-pin vite is asked for as ^7.0.0, name one version"
    ])
  })

  it("reports a second version of effect, or of one of its packages, in the tree", () => {
    const directory = fixture({
      "package-lock.json": lock({
        "node_modules/effect": { version: "3.22.4" },
        "node_modules/a/node_modules/effect": { version: "4.0.0" },
        "node_modules/@effect/rpc": { version: "0.76.2" },
        "node_modules/a/node_modules/@effect/rpc": { version: "0.73.2" }
      })
    })
    assert.deepStrictEqual(lockFindings(directory).map(render), [
      "package-lock.json:7 one-effect a second effect (4.0.0) is in the tree beside 3.22.4",
      "package-lock.json:13 one-effect a second @effect/rpc (0.73.2) is in the tree beside 0.76.2"
    ])
  })

  it("reports a package of another platform that npm has left out of the lock file", () => {
    const directory = fixture({
      "package-lock.json": lock({
        "node_modules/a": {
          version: "1.0.0",
          optionalDependencies: { "a-linux-x64": "1.0.0", "a-win32-x64": "1.0.0" }
        },
        "node_modules/a-linux-x64": { version: "1.0.0" }
      })
    })
    assert.deepStrictEqual(lockFindings(directory).map(render), [
      "package-lock.json:4 incomplete-lock a-win32-x64 is missing and npm ci will refuse: " +
      "node scripts/run.mjs scripts/complete-lock.ts"
    ])
  })

  it("reports a driver whose SQLite can drop commits", () => {
    const directory = fixture({ "package-lock.json": lock({ "node_modules/better-sqlite3": { version: "12.6.2" } }) })
    assert.deepStrictEqual(lockFindings(directory).map(render), [
      "package-lock.json:4 lowest-driver better-sqlite3 12.6.2 bundles an SQLite that can drop commits, " +
      "12.11.1 is the lowest"
    ])
  })

  it("reports a lock file that ties a package to one registry", () => {
    const directory = fixture({
      "package-lock.json": lock({ "node_modules/a": { version: "1.0.0", resolved: "https://registry.example/a.tgz" } })
    })
    assert.deepStrictEqual(lockFindings(directory).map(render), [
      "package-lock.json:4 registry-host a is tied to one registry, .npmrc has omit-lockfile-registry-resolved=true"
    ])
  })

  it("reports a package that does not run on the lowest Node that we state", () => {
    const directory = fixture({
      "package-lock.json": lock({
        "node_modules/fine": { version: "1.0.0", engines: { node: ">=18" } },
        "node_modules/new": { version: "2.0.0", engines: { node: ">=20.20 <21 || >=22" } }
      })
    })
    assert.deepStrictEqual(lockFindings(directory).map(render), [
      "package-lock.json:10 engines new 2.0.0 does not run on Node 20.19.0, it asks for >=20.20 <21 || >=22"
    ])
  })

  it("reports a dependency without a row in the README, and a row without a dependency", () => {
    const directory = fixture({
      "package.json": manifest({ dependencies: { effect: "3.22.4", ws: "8.23.0" } }),
      "README.md": "# A\n\n## Dependencies\n\n| name | why |\n|---|---|\n| `effect` | all |\n| `gone` | - |\n\n## B\n"
    })
    assert.deepStrictEqual(readmeFindings(directory).map(render), [
      "README.md:3 readme-dependencies ws has no row that says what it is for",
      "README.md:8 readme-dependencies gone has a row and is no dependency"
    ])
  })

  it("reports a README without the table", () => {
    assert.deepStrictEqual(readmeFindings(fixture({ "README.md": "# A\n" })).map(render), [
      "README.md:1 readme-dependencies the section \"## Dependencies\" is missing"
    ])
  })

  it("reports what is unused and what is not declared, with file and line", () => {
    const directory = fixture({
      "package.json": manifest({
        dependencies: { ws: "8.23.0" },
        knip: { entry: ["src/main.ts!"], project: ["src/**/*.ts!"] }
      }),
      "src/main.ts": "import { used } from \"./A.ts\"\nimport * as esbuild from \"esbuild\"\nused(esbuild)\n",
      "src/A.ts": "export const used = (x: unknown) => x\nexport const forgotten = 1\n",
      "src/Alone.ts": "export const alone = 1\n"
    })
    assert.sameMembers(knipFindings(directory).map(render), [
      "src/Alone.ts:1 unused-file nothing that ships or runs imports it",
      "src/A.ts:2 unused-export forgotten (exports)",
      "src/main.ts:2 undeclared-dependency esbuild (unlisted)",
      "package.json:7 unused-dependency ws (dependencies)"
    ])
  })
})
