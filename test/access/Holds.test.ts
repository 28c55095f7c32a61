import { assert, it } from "@effect/vitest"
import { holds } from "../../src/access/index.ts"

it("a scope of the catalog is held by implication, any other literally or by the asterisk", () => {
  assert.isTrue(holds(["run:admin"], "run:write"))
  assert.isTrue(holds(["admin"], "approval:submit"))
  assert.isFalse(holds(["run:write"], "run:admin"))
  assert.isTrue(holds(["release:ship"], "release:ship"))
  assert.isTrue(holds(["*"], "release:ship"))
  assert.isFalse(holds(["admin", "run:admin", "release:*"], "release:ship"))
  assert.isFalse(holds([], "release:ship"))
})
