import { type Random } from "./Random.ts"

/** A body or a frame that no correct client sends, and why. */
interface Malformed {
  readonly kind: string
  readonly bytes: Buffer
}

/** Calls with required members, so that what lacks them, or has them of another type, is wrong for certain. */
const required: Readonly<Record<string, ReadonlyArray<string>>> = {
  launchRun: ["workflow"],
  getRun: ["runId"],
  cancelRun: ["runId"],
  pauseRun: ["runId"],
  resumeRun: ["runId"],
  submitApproval: ["runId", "nodeId"],
  listEvents: ["runId"],
  "runs.delete": ["runId"],
  getNodeDiff: ["runId", "nodeId"],
  getRunDiff: ["runId"],
  "sandboxes.list": ["runId"],
  "tokens.issue": ["scopes"],
  "tokens.revoke": ["tokenId"]
}
export const methods = Object.keys(required)

const text = (random: Random, length: number): string =>
  Array.from({ length }, () => String.fromCodePoint(random.pick([48, 97, 0x22, 0x5c, 0x0a, 0x00, 0xe9, 0x1f600])))
    .join("")

const names = ["runId", "__proto__", "constructor", "toString", "filter", "options", "input", "", "a.b", "runId\u0000"]

/** Any JSON value, small. */
const anything = (random: Random, depth = 0): unknown => {
  const shape = random.below(depth > 3 ? 6 : 8)
  switch (shape) {
    case 0:
      return null
    case 1:
      return random.next() < 0.5
    case 2:
      return random.pick([0, -1, 1e308, -1e-308, 2 ** 53, 1.5])
    case 3:
    case 4:
      return text(random, random.below(20))
    case 5:
      return []
    case 6:
      return Array.from({ length: random.below(5) }, () => anything(random, depth + 1))
    default: {
      const members = Array.from({ length: random.below(4) }, () => [random.pick(names), anything(random, depth + 1)])
      return Object.fromEntries(members) as unknown
    }
  }
}

/** Anything that is not a string, nor a list of strings. */
const wrongType = (random: Random): unknown =>
  random.pick<unknown>([null, true, 0, -7, 1e308, {}, { toString: "x" }, [[[]]], [null], text(random, 300) + "\n", ""])

const nested = (depth: number): string => {
  const [open, close] = depth % 2 === 0 ? ["[", "]"] : ["{\"a\":", "}"]
  return `${open.repeat(depth)}1${close.repeat(depth)}`
}

type Kind = (random: Random, envelope: (params: string) => string, method: string) => string | Buffer

const correct = (method: string) =>
  JSON.stringify(Object.fromEntries(required[method]!.map((name) => [name, "some-id"])))

/** What can be wrong with the text, or with the parameters in it. */
const kinds: Readonly<Record<string, Kind>> = {
  "truncated JSON": (random, envelope, method) => {
    const whole = envelope(correct(method))
    return whole.slice(0, 1 + random.below(whole.length - 1))
  },
  "not UTF-8": (random, envelope, method) => {
    const whole = Buffer.from(envelope(correct(method)))
    const at = random.below(whole.length)
    const bad = Buffer.from(
      random.pick([[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x28]])
    )
    return Buffer.concat([whole.subarray(0, at), bad, whole.subarray(at)])
  },
  "random bytes": (random) => Buffer.from(Array.from({ length: 1 + random.below(400) }, () => random.below(256))),
  "not an object": (random) => JSON.stringify(random.pick([null, 1, "x", true, [], [{}], [1, 2]])),
  "deep nesting": (random, envelope) => envelope(`{"runId":"a","x":${nested(33 + random.below(5_000))}}`),
  "huge string": (random, envelope) => envelope(`{"runId":"${"x".repeat(16_385 + random.below(100_000))}"}`),
  "huge array": (random, envelope) => envelope(`{"runId":[${"0,".repeat(256 + random.below(5_000))}0]}`),
  "wrong type": (random, envelope, method) => {
    const members = required[method]!.map((name) => [name, wrongType(random)])
    return envelope(JSON.stringify(Object.fromEntries(members)))
  },
  "missing members": (random, envelope, method) => {
    const value = anything(random)
    const members = typeof value === "object" && value !== null && !Array.isArray(value) ? value : { value }
    for (const name of required[method]!) Reflect.deleteProperty(members, name)
    return envelope(JSON.stringify(members))
  },
  "prototype members": (random, envelope, method) =>
    envelope(`{"__proto__":{"${required[method]![0]!}":"x"},"constructor":${JSON.stringify(anything(random))}}`)
}

/** The parameters of a call, wrapped by `envelope` into what the transport sends. */
export const malformed = (random: Random, method: string, envelope: (params: string) => string): Malformed => {
  const kind = random.pick(Object.keys(kinds))
  const made = kinds[kind]!(random, envelope, method)
  return { kind, bytes: typeof made === "string" ? Buffer.from(made) : made }
}

/** A method that there is not. */
export const unknownMethod = (random: Random): string =>
  random.pick([
    `no${random.below(1e9)}`,
    "getRun.x",
    "__proto__",
    "constructor",
    "toString",
    "GetRun",
    "get run",
    `a${"b".repeat(random.below(300))}Z`,
    "streamrunevents",
    "../getRun",
    "ext.a.b"
  ])
