// @effect-diagnostics nodeBuiltinImport:off -- matching of addresses and ranges, nothing else
import { BlockList, isIP } from "node:net"

const of = (family: "ipv4" | "ipv6", ranges: ReadonlyArray<readonly [string, number]>): BlockList => {
  const list = new BlockList()
  for (const [address, prefix] of ranges) list.addSubnet(address, prefix, family)
  return list
}

/** Everything in the IANA registry of special-purpose IPv4 addresses, multicast, and Azure's metadata address. */
const special4 = of("ipv4", [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["168.63.129.16", 32],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.31.196.0", 24],
  ["192.52.193.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["192.175.48.0", 24],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3]
])

/** The only IPv6 addresses that are given to anybody; mapped, NAT64, link-local, unique-local, multicast lie outside. */
const unicast6 = of("ipv6", [["2000::", 3]])

/** What is special within: protocols and Teredo, documentation, 6to4. */
const special6 = of("ipv6", [["2001::", 23], ["2001:db8::", 32], ["2002::", 16], ["2620:4f:8000::", 48], [
  "3fff::",
  20
]])

/** Whether an address belongs to somebody on the Internet. */
export const isPublic = (address: string): boolean => {
  const version = isIP(address)
  return version === 4
    ? !special4.check(address, "ipv4")
    : version === 6 && !address.includes("%") && unicast6.check(address, "ipv6") && !special6.check(address, "ipv6")
}

/** Whether a text is a range of addresses, like `10.1.0.0/16`. */
export const isRange = (range: string): boolean => {
  const [network = "", prefix = "", ...rest] = range.split("/")
  const version = isIP(network)
  return version !== 0 && rest.length === 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128)
}

/** Whether an address lies in one of the ranges; an IPv6 address never lies in an IPv4 range. */
export const isWithin = (address: string, ranges: ReadonlyArray<string>): boolean => {
  const version = isIP(address)
  return version !== 0 && ranges.some((range) => {
    const [network = "", prefix = ""] = range.split("/")
    if (!isRange(range) || isIP(network) !== version) return false
    const family = version === 4 ? "ipv4" : "ipv6"
    return of(family, [[network, Number(prefix)]]).check(address, family)
  })
}
