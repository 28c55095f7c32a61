import { absent, type Architecture, architectures, judged, numberOn, refused } from "./Syscalls.ts"

/**
 * The system call filter of every sandbox, as the classic BPF program that `bwrap --seccomp` loads.
 *
 * Formats: struct sock_filter { u16 code; u8 jt; u8 jf; u32 k } (linux/filter.h), struct seccomp_data { int nr; u32 arch;
 * u64 instruction_pointer; u64 args[6] } and the actions (linux/seccomp.h). Both architectures are little-endian.
 */
interface Instruction {
  readonly code: number
  readonly jt: number
  readonly jf: number
  readonly k: number
}

const load = (offset: number): Instruction => ({ code: 0x20, jt: 0, jf: 0, k: offset })
/** Skips `jt` instructions when equal, else `jf`. */
const ifEqual = (k: number, jt: number, jf: number): Instruction => ({ code: 0x15, jt, jf, k })
const ifAtLeast = (k: number, jt: number, jf: number): Instruction => ({ code: 0x35, jt, jf, k })
const ifAnyBit = (k: number, jt: number, jf: number): Instruction => ({ code: 0x45, jt, jf, k })
const answer = (k: number): Instruction => ({ code: 0x06, jt: 0, jf: 0, k })

const allow = answer(0x7fff0000)
const kill = answer(0x80000000)
const eperm = answer(0x00050000 | 1)
const enosys = answer(0x00050000 | 38)
const eafnosupport = answer(0x00050000 | 97)

const numberAt = 0
const architectureAt = 4
/** The lower half of an argument: flags and families are ints, the kernel does not look at the rest. */
const argumentAt = (index: number) => 16 + 8 * index

/** CLONE_NEWTIME (which only unshare knows), NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET (linux/sched.h). */
const namespaces = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
const newTime = 0x80

const tiocsti = 0x5412
const tioclinux = 0x541c

const families = { unix: 1, inet: 2, inet6: 10, netlink: 16 }
const netlinkRoute = 0

/** When the call has this number, the rest decides; the rest must end in an answer on every way. */
const when = (number: number | null, rest: ReadonlyArray<Instruction>): ReadonlyArray<Instruction> =>
  number === null ? [] : [ifEqual(number, 0, rest.length), ...rest]

const instructions = (
  architecture: Architecture,
  options: { readonly pinned: boolean }
): ReadonlyArray<Instruction> => {
  const on = (name: keyof typeof judged) => numberOn(architecture, judged[name])
  const each = (calls: typeof refused, reply: Instruction) =>
    Object.values(calls).flatMap((numbers) => when(numberOn(architecture, numbers), [reply]))
  return [
    load(architectureAt),
    // A call in the manner of another architecture has other numbers.
    ifEqual(architectures[architecture], 1, 0),
    kill,
    load(numberAt),
    // x32: the same architecture with other numbers.
    ...(architecture === "x64" ? [ifAtLeast(0x40000000, 0, 1), kill] : []),
    ...each(refused, eperm),
    ...each(absent, enosys),
    ...when(on("clone"), [load(argumentAt(0)), ifAnyBit(namespaces, 0, 1), eperm, allow]),
    ...when(on("unshare"), [load(argumentAt(0)), ifAnyBit(namespaces | newTime, 0, 1), eperm, allow]),
    ...when(on("ioctl"), [load(argumentAt(1)), ifEqual(tiocsti, 1, 0), ifEqual(tioclinux, 0, 1), eperm, allow]),
    ...when(on("socket"), [
      load(argumentAt(0)),
      ifEqual(families.unix, 6, 0),
      ifEqual(families.inet, 5, 0),
      ifEqual(families.inet6, 4, 0),
      ifEqual(families.netlink, 0, 2),
      load(argumentAt(2)),
      ifEqual(netlinkRoute, 1, 0),
      eafnosupport,
      allow
    ]),
    ...when(on("socketpair"), [load(argumentAt(0)), ifEqual(families.unix, 1, 0), eafnosupport, allow]),
    ...(options.pinned ? when(on("sched_setaffinity"), [eperm]) : []),
    allow
  ]
}

/** The program as bytes. `pinned`: processes may not choose their cores themselves. */
export const seccompFilter = (architecture: Architecture, options: { readonly pinned: boolean }): Uint8Array => {
  const program = instructions(architecture, options)
  const bytes = new Uint8Array(8 * program.length)
  const view = new DataView(bytes.buffer)
  program.forEach(({ code, jf, jt, k }, index) => {
    view.setUint16(8 * index, code, true)
    view.setUint8(8 * index + 2, jt)
    view.setUint8(8 * index + 3, jf)
    view.setUint32(8 * index + 4, k >>> 0, true)
  })
  return bytes
}
