import { spawnSync } from "node:child_process"
import path from "node:path"
import { assert, describe, it } from "vitest"
import { fixture } from "./fixture.ts"

const run = (cwd: string, entry: string, ...args: ReadonlyArray<string>) => {
  const runner = path.resolve("scripts/run.mjs")
  const { status, stderr, stdout } = spawnSync(process.execPath, [runner, path.resolve(entry), ...args], {
    cwd,
    encoding: "utf8"
  })
  return { status, stderr, stdout }
}

describe("run", () => {
  it("runs a TypeScript program with its arguments", () => {
    const directory = fixture({
      "main.ts": "import { word } from \"./word.ts\"\nconsole.log(word, process.argv.slice(2).join())\n",
      "word.ts": "export const word: string = \"ran\"\n"
    })
    assert.deepStrictEqual(run(directory, path.join(directory, "main.ts"), "--short", "x"), {
      status: 0,
      stderr: "",
      stdout: "ran --short,x\n"
    })
  })

  it("lets a check print file:line rule message, and end with 1 when it found something", () => {
    const directory = fixture({
      "src/journal/index.ts": "export const a = 1\n",
      "src/model/index.ts": "export * from \"../journal/index.ts\"\n"
    })
    assert.deepStrictEqual(run(directory, "scripts/check.ts", "architecture"), {
      status: 1,
      stderr: "src/model/index.ts:1 not-allowed model/ may not import journal/\n",
      stdout: "check:architecture found 1\n"
    })
  })

  it("lets a check end with 0 when it found nothing", () => {
    const directory = fixture({ "src/model/index.ts": "export const a = 1\n" })
    assert.deepStrictEqual(run(directory, "scripts/check.ts", "architecture"), {
      status: 0,
      stderr: "",
      stdout: "check:architecture found nothing\n"
    })
  })
})
