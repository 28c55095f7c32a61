import { spawnSync } from "node:child_process"
import fs from "node:fs"
import path from "node:path"
import { assert, describe, it } from "vitest"
import { sourcesHash, writeBuiltHash } from "../../scripts/sources.mjs"
import { fixture } from "./fixture.ts"

const copies = [
  "build.mjs",
  "bundle.mjs",
  "directImports.mjs",
  "gate.mjs",
  "packages.mjs",
  "sources.mjs",
  "tsconfig.build.json"
].map(
  (name) => `scripts/${name}`
)

/** A project with our build scripts, and a way to build it. */
const project = (files: Readonly<Record<string, string>>) => {
  const directory = fixture({
    ...Object.fromEntries(copies.map((file) => [file, fs.readFileSync(file, "utf8")])),
    "package-lock.json": "{}",
    ...files
  })
  return {
    directory,
    build: () => spawnSync(process.execPath, ["scripts/build.mjs"], { cwd: directory, encoding: "utf8" }),
    run: (file: string, args: ReadonlyArray<string> = [], env: Readonly<Record<string, string>> = {}) =>
      spawnSync(path.join(directory, file), args, { encoding: "utf8", env: { PATH: process.env["PATH"], ...env } })
        .stdout,
    imports: (file: string) =>
      [...fs.readFileSync(path.join(directory, file), "utf8").matchAll(/ from "([^"]+)";/g)].map(([, name]) => name),
    git: (...args: ReadonlyArray<string>) => spawnSync("git", args, { cwd: directory, encoding: "utf8" }).stdout,
    /** As `verify` says it when checks and tests have passed. */
    passed: () => spawnSync(process.execPath, ["scripts/gate.mjs"], { cwd: directory }),
    /** What a build of this moment would say of itself. */
    record: (): unknown => {
      const script = "import('./scripts/gate.mjs').then((gate) => gate.writeBuildRecord(process.cwd(), '.'))"
      spawnSync(process.execPath, ["-e", script], { cwd: directory })
      return JSON.parse(fs.readFileSync(path.join(directory, "build.json"), "utf8"))
    },
    write: (file: string, text: string) => fs.writeFileSync(path.join(directory, file), text),
    list: (folder: string) => fs.readdirSync(path.join(directory, folder)).sort()
  }
}

const main = "#!/usr/bin/env node\nimport { word } from \"./word.ts\"\nconsole.log(word)\n"

describe("build", () => {
  it("emits an executable main with declarations, and the console as a bundle", () => {
    const { build, list, run } = project({
      "src/main.ts": main,
      "src/word.ts": "export const word = \"built\"\n",
      "src/console/index.html": "<script type=\"module\" src=\"./main.tsx\"></script>",
      "src/console/main.tsx": "document.body.append(String(<p>hello</p>))\n"
    })
    assert.strictEqual(build().status, 0)
    assert.strictEqual(run("dist/main.js"), "built\n")
    assert.deepStrictEqual(list("dist"), [
      ".built-from",
      "build.json",
      "console",
      "main.d.ts",
      "main.js",
      "word.d.ts",
      "word.js"
    ])
    assert.include(list("dist/console"), "index.html")
  })

  it("imports the modules it names, not the whole package they are part of", () => {
    const { build, imports, run } = project({
      "src/main.ts": "#!/usr/bin/env node\nimport { Option, Option as Maybe, pipe } from \"effect\"\n" +
        "import { type FileSystem } from \"@effect/platform\"\nexport { Either as Result } from \"effect\"\n" +
        "export type Files = FileSystem.FileSystem\n" +
        "console.log(pipe(1, Option.some, Maybe.getOrThrow))\n"
    })
    assert.strictEqual(build().status, 0)
    assert.strictEqual(run("dist/main.js"), "1\n")
    assert.deepStrictEqual(imports("dist/main.js"), [
      "effect/Option",
      "effect/Option",
      "effect/Function",
      "effect/Either"
    ])
  })

  it("records commit and gate beside what it built, and whether that gate was seen green", () => {
    const { directory, git, passed, record, write } = project({
      ".gitignore": "node_modules\nbuild.json\ndist\n",
      "src/main.ts": "console.log(1)\n",
      "dist/main.js": "console.log(1)\n"
    })
    const told = () => fs.existsSync(path.join(directory, "dist/build.json"))
    assert.deepStrictEqual(record(), { commit: null, dirty: false, verified: false })
    git("init", "-q")
    git("add", ".")
    git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "first")
    const commit = git("rev-parse", "HEAD").trim()
    assert.deepStrictEqual(record(), { commit, dirty: false, verified: false })
    passed()
    assert.deepStrictEqual(record(), { commit, dirty: false, verified: true })
    assert.isFalse(told(), "what was built of other sources has not passed")
    writeBuiltHash(directory, sourcesHash(directory))
    passed()
    assert.isTrue(told())
    assert.strictEqual(git("status", "--porcelain"), "")
    write("tsconfig.json", "{}")
    passed()
    assert.deepStrictEqual(record(), { commit, dirty: true, verified: false })
  })

  it("makes one file of the program, which runs unless modules of authors have to share Effect with it", () => {
    const { build, run } = project({
      "src/main.ts": fs.readFileSync("src/main.ts", "utf8"),
      "src/program.ts": "import { word } from \"./word.ts\"\nconsole.log(word)\nconsole.log(import.meta.url)\n",
      "src/word.ts": "export const word = \"built\"\n"
    })
    assert.strictEqual(build().status, 0)
    const authored = { SMITHERS_WORKFLOWS: "mine.ts" }
    const bundled = /^built\nfile:.*\/dist\/bundle\/program\.js\n$/
    const modules = /^built\nfile:.*\/dist\/program\.js\n$/
    assert.match(run("dist/main.js"), bundled)
    assert.match(run("dist/main.js", ["serve", "--json"], { SMITHERS_WORKFLOWS: "" }), bundled)
    assert.match(run("dist/main.js", ["ps"], authored), bundled)
    assert.match(run("dist/main.js", [], authored), modules)
    assert.match(run("dist/main.js", ["--json"], authored), modules)
    assert.match(run("dist/main.js", ["serve"], authored), modules)
  })

  it("leaves no file of an earlier build, and keeps the earlier build when the new one fails", () => {
    const { build, list, run, write } = project({ "src/main.ts": "#!/usr/bin/env node\nconsole.log(1)\n" })
    build()
    write("dist/stale.js", "")
    write("src/main.ts", "#!/usr/bin/env node\nconsole.log(2)\n")
    build()
    assert.deepStrictEqual(list("dist"), [".built-from", "build.json", "main.d.ts", "main.js"])
    write("src/main.ts", "const wrong: string = 3\n")
    const { status, stdout } = build()
    assert.strictEqual(status, 1)
    assert.include(stdout, "src/main.ts(1,7): error TS")
    assert.strictEqual(run("dist/main.js"), "2\n")
    assert.notInclude(list(".").join(), ".dist-")
  })
})
