import { Duration, Effect, ParseResult, Schema } from "effect"
import { PolicyInvalid } from "./RuntimeError.ts"

const mebi = 1_048_576
const gibi = 1_073_741_824

const units: Readonly<Record<string, number>> = { "": 1, k: 1_024, m: mebi, g: gibi, t: 1_024 * gibi }

/** `512m`, `1.5 GiB`: powers of 1,024 whatever the spelling, as container engines read them. */
const bytesOf = (text: string): number | undefined => {
  const parts = /^(\d{1,15}(?:\.\d{1,3})?)\s*([kmgt]?)(?:i?b)?$/i.exec(text.trim())
  return parts === null ? undefined : Math.floor(Number(parts[1]) * units[parts[2]!.toLowerCase()]!)
}

const bounded = (self: Schema.Schema<number>, min: number, max: number, what: string) =>
  self.pipe(Schema.between(min, max, {
    message: ({ actual }) => `must be ${what} from ${min} to ${max}, and is ${String(actual)}`
  }))

const wholeNumber = (min: number, max: number) => bounded(Schema.Int, min, max, "a whole number")

const bytes = (min: number, max: number) =>
  Schema.transformOrFail(Schema.Union(Schema.Number, Schema.String), bounded(Schema.Int, min, max, "bytes"), {
    decode: (given, _, ast) => {
      const n = typeof given === "number" ? given : bytesOf(given)
      return n === undefined
        ? ParseResult.fail(new ParseResult.Type(ast, given, "must be a number of bytes, or like 512m or 2GiB"))
        : ParseResult.succeed(n)
    },
    encode: ParseResult.succeed
  })

const cores = Schema.transformOrFail(
  Schema.Union(Schema.Number, Schema.String),
  bounded(Schema.Number, 0.01, 1_024, "cores"),
  {
    decode: (given, _, ast) => {
      const n = typeof given === "number" ? given : /^\d{1,4}(\.\d{1,3})?$/.test(given) ? Number(given) : NaN
      return Number.isFinite(n)
        ? ParseResult.succeed(n)
        : ParseResult.fail(new ParseResult.Type(ast, given, "must be a number of cores, like 2 or 0.5"))
    },
    encode: ParseResult.succeed
  }
)

const day = Duration.toMillis("1 day")

const milliseconds = Schema.transformOrFail(
  Schema.Union(Schema.Number, Schema.String),
  bounded(Schema.Number, 1, day, "milliseconds"),
  {
    decode: (given, _, ast) => {
      const n = typeof given === "number" ? given : Duration.decodeUnknown(given)
      if (typeof n === "number") return ParseResult.succeed(n)
      return n._tag === "Some"
        ? ParseResult.succeed(Duration.toMillis(n.value))
        : ParseResult.fail(new ParseResult.Type(ast, given, "must be milliseconds, or like \"10 minutes\""))
    },
    encode: ParseResult.succeed
  }
)

const label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
const hostPattern = new RegExp(`^(?:\\*|(?:\\*\\.)?(?:${label}\\.)*${label})$`)

/** A name, `*.example.com` for all names below one, or `*` for all. Never an address: what is allowed is what was named. */
const Host = Schema.String.pipe(
  Schema.filter((host) =>
    host.length <= 253 && hostPattern.test(host) && !/(^|\.)[0-9]+$/.test(host)
      ? undefined
      : "must be a host name in lower case (*.example.com for all below it), no address and no port"
  )
)

const maxMembers = 16
const maxPathChars = 1_024

const AbsolutePath = Schema.String.pipe(
  Schema.filter((path) =>
    path.startsWith("/") && path.length <= maxPathChars && !path.includes("\0") &&
      path.split("/").every((part) => part !== ".." && part !== ".")
      ? undefined
      : `must be an absolute path of at most ${maxPathChars} characters without . and ..`
  )
)

const list = <A, I>(member: Schema.Schema<A, I>, max = maxMembers) =>
  Schema.Array(member).pipe(
    Schema.filter((all) => all.length <= max ? undefined : `must have at most ${max} members, and has ${all.length}`)
  )

/** What every volume is: a directory of the host, readable only. */
export const Volume = Schema.Struct({ source: AbsolutePath, target: AbsolutePath })

/** A port of the sandbox that the host's loopback is to reach. */
export const Port = Schema.Struct({ host: wholeNumber(1, 65_535), sandbox: wholeNumber(1, 65_535) })

/**
 * What a sandbox may do. An absent limit means the runtime's default; one that is given is enforced, or nothing runs.
 *
 * Sizes are bytes, or text like `512m`; powers of 1,024.
 */
export const SandboxPolicy = Schema.Struct({
  /**
   * `false`: no network at all. `{ hosts }`: HTTP and HTTPS to these names through the filtering proxy. `true`: the same
   * to every public host. Nothing reaches private addresses or the host itself.
   */
  allowNetwork: Schema.optionalWith(
    Schema.Union(Schema.Boolean, Schema.Struct({ hosts: list(Host, 256) })),
    { default: () => false }
  ),
  /** What all processes together may hold, 16 MiB to 1 TiB. */
  memoryLimit: Schema.optional(bytes(16 * mebi, 1_024 * gibi)),
  /** Cores, 0.01 to 1,024. */
  cpuLimit: Schema.optional(cores),
  /** Processes and threads at once, 1 to 32,768. */
  pidsLimit: Schema.optional(wholeNumber(1, 32_768)),
  /** What the workspace, and again `/tmp`, may hold, 64 KiB to 64 GiB. */
  diskLimit: Schema.optional(bytes(65_536, 64 * gibi)),
  /** The largest file, 0 to 64 GiB. */
  fileSize: Schema.optional(bytes(0, 64 * gibi)),
  /** Open files per process, 16 to 1,048,576. */
  openFiles: Schema.optional(wholeNumber(16, 1_048_576)),
  /** Milliseconds or text like `10 minutes`, 1 ms to a day. Everything is killed then. */
  timeout: Schema.optional(milliseconds),
  /** Standard output and error together, 0 to 1 GiB. Everything is killed at the first byte beyond. */
  maxOutputBytes: Schema.optional(bytes(0, gibi)),
  /**
   * Ports of `127.0.0.1` on the host that lead to ports of `127.0.0.1` in the sandbox while it runs; 64 connections to
   * each at once. Whoever may use loopback may use them.
   */
  ports: Schema.optionalWith(list(Port), { default: () => [] }),
  volumes: Schema.optionalWith(list(Volume), { default: () => [] }),
  /** Of a container engine. */
  image: Schema.optional(
    Schema.String.pipe(
      Schema.filter((image) =>
        /^[a-z0-9][a-z0-9._/:@-]{0,254}$/i.test(image)
          ? undefined
          : "must be an image reference of at most 255 characters"
      )
    )
  )
})
export type SandboxPolicy = typeof SandboxPolicy.Type

/** A policy as an author writes it. */
export type Input = typeof SandboxPolicy.Encoded

const decode = Schema.decodeUnknown(SandboxPolicy, { onExcessProperty: "error" })

/** The policy, or the first field that is out of bounds with its bound. */
export const parse = (input: unknown): Effect.Effect<SandboxPolicy, PolicyInvalid> =>
  Effect.mapError(decode(input), (error) => {
    const issues = ParseResult.ArrayFormatter.formatErrorSync(error)
    const { message, path } = issues.find(({ path }) => path.length > 0) ?? issues[0]!
    return new PolicyInvalid({ field: path.length === 0 ? "policy" : path.map(String).join("."), bound: message })
  })

/** What holds where the author asked for nothing. */
export interface Limits {
  readonly memoryLimit: number
  readonly pidsLimit: number
  readonly diskLimit: number
  readonly fileSize: number
  readonly openFiles: number
  readonly timeout: number
  readonly maxOutputBytes: number
}

export const defaults: Limits = {
  memoryLimit: gibi,
  pidsLimit: 256,
  diskLimit: 512 * mebi,
  fileSize: 512 * mebi,
  openFiles: 1_024,
  timeout: Duration.toMillis("10 minutes"),
  maxOutputBytes: 16 * mebi
}

/** The limits of a policy with the defaults filled in; no file is larger than the disk. */
export const limitsOf = (policy: SandboxPolicy): Limits => {
  const diskLimit = policy.diskLimit ?? defaults.diskLimit
  return {
    memoryLimit: policy.memoryLimit ?? defaults.memoryLimit,
    pidsLimit: policy.pidsLimit ?? defaults.pidsLimit,
    diskLimit,
    fileSize: Math.min(policy.fileSize ?? diskLimit, diskLimit),
    openFiles: policy.openFiles ?? defaults.openFiles,
    timeout: policy.timeout ?? defaults.timeout,
    maxOutputBytes: policy.maxOutputBytes ?? defaults.maxOutputBytes
  }
}

/** The hosts that may be reached; empty when there is no network. */
export const hostsOf = ({ allowNetwork }: SandboxPolicy): ReadonlyArray<string> =>
  typeof allowNetwork === "boolean" ? (allowNetwork ? ["*"] : []) : allowNetwork.hosts
