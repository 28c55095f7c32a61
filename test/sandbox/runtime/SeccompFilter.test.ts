import { assert, describe, it } from "@effect/vitest"
import fs from "node:fs"
import { seccompFilter } from "../../../src/sandbox/internal/runtime/SeccompFilter.ts"
import {
  absent,
  type Architecture,
  architectures,
  judged,
  numberOn,
  refused
} from "../../../src/sandbox/internal/runtime/Syscalls.ts"

/** What the kernel would do: a small machine for the programs of the filter (bpf(4), seccomp(2)). */
const judge = (
  program: Uint8Array,
  call: { readonly nr: number; readonly arch: number; readonly args?: ReadonlyArray<number> }
): string => {
  const data = new DataView(new ArrayBuffer(64))
  data.setUint32(0, call.nr, true)
  data.setUint32(4, call.arch, true)
  call.args?.forEach((arg, i) => data.setBigUint64(16 + 8 * i, BigInt(arg), true))
  const view = new DataView(program.buffer)
  let a = 0
  for (let pc = 0; pc < program.length / 8; pc++) {
    const [code, jt, jf, k] = [
      view.getUint16(8 * pc, true),
      view.getUint8(8 * pc + 2),
      view.getUint8(8 * pc + 3),
      view.getUint32(8 * pc + 4, true)
    ]
    if (code === 0x20) a = data.getUint32(k, true)
    else if (code === 0x15) pc += a === k ? jt : jf
    else if (code === 0x35) pc += a >= k ? jt : jf
    else if (code === 0x45) pc += (a & k) !== 0 ? jt : jf
    else if (code === 0x06) {
      return k === 0x7fff0000 ? "allow" : k === 0x80000000 ? "kill" : `errno ${k & 0xffff}`
    } else throw new Error(`unknown instruction ${code}`)
  }
  throw new Error("the program does not answer")
}

const [eperm, enosys, eafnosupport] = ["errno 1", "errno 38", "errno 97"]

for (const architecture of ["x64", "arm64"] as const satisfies ReadonlyArray<Architecture>) {
  const program = seccompFilter(architecture, { pinned: true })
  const arch = architectures[architecture]
  const asked = (name: string, ...args: ReadonlyArray<number>) =>
    judge(program, { nr: numberOn(architecture, judged[name as keyof typeof judged])!, arch, args })

  describe(`the filter for ${architecture}`, () => {
    it("fits into the kernel's bound", () => {
      assert.isAtMost(program.length / 8, 4_096)
    })

    it("refuses every call on the list, and answers the absent ones as absent", () => {
      for (const [calls, reply] of [[refused, eperm], [absent, enosys]] as const) {
        for (const [name, numbers] of Object.entries(calls)) {
          const nr = numberOn(architecture, numbers)
          if (nr !== null) assert.strictEqual(judge(program, { nr, arch }), reply, name)
        }
      }
    })

    it("allows every other call", () => {
      const known = new Set(
        [refused, absent, judged].flatMap((calls) =>
          Object.values(calls).map((numbers) => numberOn(architecture, numbers))
        )
      )
      for (let nr = 0; nr < 600; nr++) {
        if (!known.has(nr)) assert.strictEqual(judge(program, { nr, arch }), "allow", String(nr))
      }
    })

    it("kills whoever calls in the manner of another architecture", () => {
      for (const other of [0x40000003, 0x40000028, 0xc0000015, 0]) {
        assert.strictEqual(judge(program, { nr: 1, arch: other }), "kill")
      }
      if (architecture === "x64") assert.strictEqual(judge(program, { nr: 0x40000000 + 1, arch }), "kill")
    })

    it("allows threads and processes, and refuses each kind of namespace", () => {
      assert.strictEqual(asked("clone", 0x3d0f00), "allow")
      assert.strictEqual(asked("clone", 17), "allow")
      assert.strictEqual(asked("unshare", 0x400), "allow")
      for (const flag of [0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000]) {
        assert.strictEqual(asked("clone", flag | 17), eperm)
        assert.strictEqual(asked("unshare", flag), eperm)
      }
      assert.strictEqual(asked("unshare", 0x80), eperm)
    })

    it("allows sockets of the usual families only, and netlink for routes only", () => {
      for (const family of [1, 2, 10]) assert.strictEqual(asked("socket", family, 1, 0), "allow")
      assert.strictEqual(asked("socket", 16, 3, 0), "allow")
      assert.strictEqual(asked("socket", 16, 3, 15), eafnosupport)
      for (const family of [0, 3, 9, 17, 21, 31, 38, 40, 44]) {
        assert.strictEqual(asked("socket", family, 1, 0), eafnosupport)
      }
      assert.strictEqual(asked("socketpair", 1), "allow")
      assert.strictEqual(asked("socketpair", 2), eafnosupport)
    })

    it("refuses typing into terminals, also with upper bits that the kernel ignores", () => {
      assert.strictEqual(asked("ioctl", 0, 0x5401), "allow")
      for (const request of [0x5412, 0x541c, 2 ** 32 + 0x5412]) assert.strictEqual(asked("ioctl", 0, request), eperm)
    })

    it("refuses a choice of cores only where cores were chosen", () => {
      const free = seccompFilter(architecture, { pinned: false })
      const nr = numberOn(architecture, judged.sched_setaffinity)!
      assert.strictEqual(judge(program, { nr, arch }), eperm)
      assert.strictEqual(judge(free, { nr, arch }), "allow")
    })
  })
}

const headers = { x64: "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", arm64: "/usr/include/asm-generic/unistd.h" }
for (const architecture of ["x64", "arm64"] as const) {
  const file = headers[architecture]
  if (!fs.existsSync(file)) console.warn(`SKIPPED: without ${file} the numbers are not compared.`)
  it.skipIf(!fs.existsSync(file))(`the numbers for ${architecture} are those of the kernel's header`, () => {
    const numbers = new Map(
      [...fs.readFileSync(file, "utf8").matchAll(/#define __NR(?:3264)?_(\w+) (\d+)/g)].map((
        [, name = "", nr]
      ) => [name, Number(nr)])
    )
    for (const [name, all] of Object.entries({ ...refused, ...absent, ...judged })) {
      // A header may be older than a call.
      const nr = numbers.get(name)
      if (nr !== undefined) assert.strictEqual(numberOn(architecture, all), nr, name)
    }
  })
}
