import { assert } from "@effect/vitest"

/** Asserts that a value of whatever type has these members. */
export const has = (value: unknown, members: object): void => {
  assert.instanceOf(value, Object)
  for (const [key, member] of Object.entries(members)) {
    assert.deepStrictEqual((value as Record<string, unknown>)[key], member)
  }
}
