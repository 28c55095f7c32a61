import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Either, FastCheck, Schema } from "effect"
import { limitsOf, parse, SandboxPolicy } from "../../../src/sandbox/SandboxPolicy.ts"

const accepted: ReadonlyArray<readonly [string, unknown, object]> = [
  ["nothing", {}, { allowNetwork: false, ports: [], volumes: [] }],
  ["sizes in words", { memoryLimit: "512m", diskLimit: "1.5 GiB" }, {
    memoryLimit: 536_870_912,
    diskLimit: 1_610_612_736
  }],
  ["sizes in bytes", { memoryLimit: 16_777_216 }, { memoryLimit: 16_777_216 }],
  ["cores in words", { cpuLimit: "0.5" }, { cpuLimit: 0.5 }],
  ["a timeout in words", { timeout: "2 minutes" }, { timeout: 120_000 }],
  ["hosts", { allowNetwork: { hosts: ["example.com", "*.example.com", "*"] } }, {}]
]

for (const [what, input, members] of accepted) {
  it.effect(`a policy with ${what} is read`, () =>
    Effect.map(parse(input), (policy) => assert.deepInclude(policy as object, members)))
}

const refused: ReadonlyArray<readonly [string, unknown, string]> = [
  ["too little memory", { memoryLimit: 1_000 }, "memoryLimit"],
  ["memory beyond its bound", { memoryLimit: "2000t" }, "memoryLimit"],
  ["memory in other words", { memoryLimit: "lots" }, "memoryLimit"],
  ["no core", { cpuLimit: 0 }, "cpuLimit"],
  ["cores that are no number", { cpuLimit: "many" }, "cpuLimit"],
  ["half a process", { pidsLimit: 1.5 }, "pidsLimit"],
  ["no process", { pidsLimit: 0 }, "pidsLimit"],
  ["hardly any disk", { diskLimit: 1 }, "diskLimit"],
  ["a negative file size", { fileSize: -1 }, "fileSize"],
  ["too few open files", { openFiles: 1 }, "openFiles"],
  ["no time", { timeout: 0 }, "timeout"],
  ["more than a day", { timeout: "25 hours" }, "timeout"],
  ["a timeout that is no number", { timeout: NaN }, "timeout"],
  ["output beyond its bound", { maxOutputBytes: "2g" }, "maxOutputBytes"],
  ["an address for a host", { allowNetwork: { hosts: ["10.0.0.1"] } }, "allowNetwork"],
  ["a host with a port", { allowNetwork: { hosts: ["example.com:80"] } }, "allowNetwork"],
  ["a star in the middle", { allowNetwork: { hosts: ["a.*.com"] } }, "allowNetwork"],
  ["a relative volume", { volumes: [{ source: "x", target: "/y" }] }, "volumes.0.source"],
  ["a volume that climbs", { volumes: [{ source: "/a/../b", target: "/y" }] }, "volumes.0.source"],
  ["too many volumes", { volumes: Array.from({ length: 17 }, () => ({ source: "/a", target: "/b" })) }, "volumes"],
  ["a port beyond the last", { ports: [{ host: 70_000, sandbox: 1 }] }, "ports.0.host"],
  ["an image that is an option", { image: "--privileged" }, "image"],
  ["a member that nobody knows", { memorylimit: 1 }, "memorylimit"],
  ["no object", 7, "policy"]
]

for (const [what, input, field] of refused) {
  it.effect(`a policy with ${what} is refused, naming ${field} and its bound`, () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(parse(input))
      assert(error.field === field || error.field.startsWith(`${field}.`), `${error.field}: ${error.bound}`)
      assert.isAbove(error.bound.length, 5)
    }))
}

const limits = SandboxPolicy.pick(
  ...[
    "memoryLimit",
    "cpuLimit",
    "pidsLimit",
    "diskLimit",
    "fileSize",
    "openFiles",
    "timeout",
    "maxOutputBytes",
    "ports"
  ] as const
)

describe("whatever a policy says", () => {
  it("it is read again as it was", () => {
    FastCheck.assert(FastCheck.property(Arbitrary.make(Schema.typeSchema(limits)), (policy) => {
      const encoded = Schema.encodeSync(limits)(policy)
      assert.deepStrictEqual(Schema.decodeUnknownSync(limits)(encoded), policy)
    }))
  })

  it("no file may be larger than the disk", () => {
    FastCheck.assert(FastCheck.property(Arbitrary.make(Schema.typeSchema(limits)), (policy) => {
      const { diskLimit, fileSize } = limitsOf({ allowNetwork: false, volumes: [], ...policy })
      assert.isAtMost(fileSize, diskLimit)
    }))
  })

  it.effect.prop(
    "anything else is refused by a typed error",
    [FastCheck.anything()],
    ([input]) =>
      Effect.map(Effect.either(parse(input)), (answer) => {
        if (Either.isLeft(answer)) assert.strictEqual(answer.left._tag, "PolicyInvalid")
      }),
    { fastCheck: { numRuns: 1_000 } }
  )
})
