import { Effect } from "effect"
import { isPublic, isWithin } from "../../../outbound/index.ts"
import type { Settings } from "../../EgressConfig.ts"
import type { EgressResolver } from "../../EgressResolver.ts"

/** Why a sandbox was not let out. */
export interface Refusal {
  readonly target: string
  readonly reason:
    | "Malformed"
    | "HostNotListed"
    | "PortNotAllowed"
    | "AddressLiteral"
    | "AddressNotPublic"
    | "NoAddress"
}

export interface Admitted {
  readonly host: string
  /** The address that was judged; whoever connects must use it and not resolve the name again. */
  readonly address: string
  readonly port: number
}

const maxTargetChars = 260

/** A name as the list has it, for `example.com.` too. */
const hostOf = (text: string) => text.toLowerCase().replace(/\.$/, "")

/** What programs take for an address: digits or 0x at the end (URL standard, "ends in a number"), or brackets. */
const isLiteral = (host: string) => /(^|\.)([0-9]+|0x[0-9a-f]*)$/.test(host) || /[[\]:%]/.test(host)

const isListed = (host: string, hosts: ReadonlyArray<string>) =>
  hosts.some((listed) =>
    listed === "*" || listed === host || (listed.startsWith("*.") && host.endsWith(listed.slice(1)))
  )

/** Judges a target like `example.com:443`: by name, by port, and by every address it would lead to. */
export const admit = (
  target: string,
  hosts: ReadonlyArray<string>,
  settings: Settings,
  resolver: EgressResolver["Type"]
): Effect.Effect<Admitted, Refusal> =>
  Effect.gen(function*() {
    const refuse = (reason: Refusal["reason"]) =>
      Effect.fail<Refusal>({ target: target.slice(0, maxTargetChars), reason })
    const parts = /^(\[[^\]]*\]|[^:]*):([0-9]{1,5})$/.exec(target)
    if (parts === null || target.length > maxTargetChars) return yield* refuse("Malformed")
    const host = hostOf(parts[1]!)
    const port = Number(parts[2])
    if (isLiteral(host)) return yield* refuse("AddressLiteral")
    if (!/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(host)) return yield* refuse("Malformed")
    if (!isListed(host, hosts)) return yield* refuse("HostNotListed")
    if (!settings.ports.includes(port)) return yield* refuse("PortNotAllowed")
    const addresses = yield* resolver.resolve(host).pipe(
      Effect.timeoutTo({ duration: settings.resolveTimeout, onSuccess: (found) => found, onTimeout: () => [] })
    )
    if (addresses.length === 0) return yield* refuse("NoAddress")
    const allowed = addresses.filter((address) => isPublic(address) || isWithin(address, settings.ranges))
    // One private address among public ones is how a name is turned against whoever resolved it.
    if (allowed.length < addresses.length) return yield* refuse("AddressNotPublic")
    return { host, port, address: allowed[0]! }
  })
