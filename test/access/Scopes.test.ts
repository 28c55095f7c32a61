import { assert, it } from "@effect/vitest"
import * as fc from "fast-check"
import { allows, covers, isKnown } from "../../src/access/internal/Scopes.ts"
import { type CatalogScope, catalogScopes } from "../../src/model/index.ts"

const methods: ReadonlyMap<string, CatalogScope> = new Map([
  ["launchRun", "run:write"],
  ["getRun", "run:read"],
  ["runs.cancel", "run:write"],
  ["runs.diff", "run:read"],
  ["approvals.decide", "approval:submit"],
  ["cron.list", "cron:read"],
  ["config.get", "run:admin"]
])

const gives = (granted: string): ReadonlyArray<CatalogScope> =>
  catalogScopes.filter((scope) => allows([granted], scope, undefined, methods))

const anyScope = fc.constantFrom(...catalogScopes)
const anyMethod = fc.constantFrom(...methods.keys())
const anyWord = fc.oneof(
  anyScope,
  anyMethod,
  fc.constantFrom("*", "admin", "read", "execute", "approve", "runs.*", "cron.*", "nothing", "run:*", "")
)

for (
  const [granted, expected] of [
    ["*", catalogScopes],
    ["admin", catalogScopes],
    ["run:read", ["run:read"]],
    ["run:write", ["run:read", "run:write"]],
    ["run:admin", ["run:read", "run:write", "run:admin"]],
    ["approval:read", ["approval:read"]],
    ["approval:submit", ["approval:read", "approval:submit"]],
    ["signal:submit", ["signal:submit"]],
    ["cron:read", ["cron:read"]],
    ["cron:write", ["cron:read", "cron:write"]],
    ["account:read", ["account:read"]],
    ["ticket:write", ["ticket:read", "ticket:write"]],
    ["observability:read", ["observability:read"]],
    [
      "read",
      [
        "run:read",
        "approval:read",
        "cron:read",
        "account:read",
        "memory:read",
        "prompt:read",
        "score:read",
        "ticket:read",
        "observability:read"
      ]
    ],
    ["execute", ["run:read", "run:write", "signal:submit", "cron:read", "cron:write", "ticket:read", "ticket:write"]],
    [
      "approve",
      [
        "run:read",
        "run:write",
        "approval:read",
        "approval:submit",
        "signal:submit",
        "cron:read",
        "cron:write",
        "ticket:read",
        "ticket:write"
      ]
    ]
  ] as const
) {
  it(`${granted} gives exactly ${expected.length === catalogScopes.length ? "everything" : expected.join(" ")}`, () => {
    assert.deepStrictEqual(gives(granted), expected)
  })
}

it("granted strings are trimmed", () => {
  assert.deepStrictEqual(gives("  run:write\n"), ["run:read", "run:write"])
})

it("unknown strings grant nothing", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    fc.pre(!isKnown(text.trim(), methods))
    assert.deepStrictEqual(gives(text), [])
  }))
  for (const text of ["", "run", "run:*", "run:", "RUN:READ", "constructor", "__proto__", "toString"]) {
    assert.deepStrictEqual(gives(text), [])
  }
})

it("nothing crosses families", () => {
  fc.assert(fc.property(anyScope, anyScope, (granted, required) => {
    if (granted.split(":")[0] !== required.split(":")[0]) {
      assert.isFalse(allows([granted], required, undefined, methods))
    }
  }))
})

it("implication is reflexive and transitive in the catalog", () => {
  const implies = (a: CatalogScope, b: CatalogScope) => allows([a], b, undefined, methods)
  fc.assert(fc.property(anyScope, anyScope, anyScope, (a, b, c) => {
    assert.isTrue(implies(a, a))
    if (implies(a, b) && implies(b, c)) assert.isTrue(implies(a, c))
  }))
})

it("any match wins, and one more granted string never takes anything away", () => {
  fc.assert(fc.property(fc.array(anyWord), anyWord, anyScope, anyMethod, (granted, more, required, method) => {
    const all = [...granted, more]
    assert.strictEqual(
      allows(all, required, method, methods),
      all.some((one) => allows([one], required, method, methods))
    )
  }))
})

it("a method's name gives what the method itself requires, for that method", () => {
  assert.isTrue(allows(["launchRun"], "run:write", "launchRun", methods))
  assert.isTrue(allows(["launchRun"], "run:read", "launchRun", methods))
  assert.isFalse(allows(["launchRun"], "run:admin", "launchRun", methods))
  assert.isFalse(allows(["launchRun"], "run:write", "runs.cancel", methods))
  assert.isFalse(allows(["launchRun"], "run:write", undefined, methods))
})

it("a method pattern gives what the called method itself requires", () => {
  assert.isTrue(allows(["runs.*"], "run:write", "runs.cancel", methods))
  assert.isFalse(allows(["runs.*"], "run:write", "runs.diff", methods))
  assert.isFalse(allows(["runs.*"], "run:write", "launchRun", methods))
  assert.isFalse(allows(["runs.*"], "run:read", "runsdiff", methods))
  assert.isFalse(allows(["run.*"], "run:read", "runs.diff", methods))
})

it("a name that no method has gives no more than run:read, even to a call by that name", () => {
  assert.isTrue(allows(["nope"], "run:read", "nope", methods))
  assert.isFalse(allows(["nope"], "run:write", "nope", methods))
})

it("only strings that mean something are known", () => {
  for (const scope of [...catalogScopes, "*", "read", "execute", "approve", "admin", "launchRun", "runs.*"]) {
    assert.isTrue(isKnown(scope, methods), scope)
  }
  for (const scope of ["", " run:read", "run:*", "rnu:read", "reed", "launchrun", "frames.*", ".*", "runs."]) {
    assert.isFalse(isKnown(scope, methods), scope)
  }
})

it("whoever hands on what they cover never lets anybody do what they cannot", () => {
  fc.assert(
    fc.property(fc.array(anyWord), anyWord, anyScope, anyMethod, (held, scope, required, method) => {
      fc.pre(covers(held, scope, methods))
      if (allows([scope], required, method, methods)) assert.isTrue(allows(held, required, method, methods))
    }),
    { numRuns: 2_000 }
  )
})
