import { assert, describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { smithers } from "./Smithers.ts"

describe("help", () => {
  it.live("is the contract of the command line", () =>
    Effect.gen(function*() {
      const { code, stdout } = yield* smithers(["--help"], {})
      assert.strictEqual(code, 0)
      yield* Effect.promise(() => expect(stdout).toMatchFileSnapshot("./help.txt"))
    }))

  it.live("of a command goes to stdout without escape sequences", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* smithers(["approve", "--help"], {})
      assert.strictEqual(code, 0)
      assert.strictEqual(stderr, "")
      assert.include(stdout, "--sha256")
      assert.notInclude(stdout, String.fromCharCode(27))
    }))
})
