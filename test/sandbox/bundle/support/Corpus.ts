import { spawnSync } from "node:child_process"
import fs from "node:fs"
import path from "node:path"
import type { Rule } from "../../../../src/sandbox/BundleRefused.ts"
import { run } from "./Files.ts"

/** Where a hostile bundle is made, and what lies outside of it. */
export interface Ground {
  /** The bundle, or the tree; made. */
  readonly root: string
  /** A directory with a file `secret` and a directory `inner`, which nobody may touch. */
  readonly outside: string
}

export interface Hostile {
  readonly name: string
  readonly rule: Rule
  readonly make: (ground: Ground) => void
}

const put = (root: string, name: string, content: string | Uint8Array = "x\n") => {
  const at = path.join(root, name)
  fs.mkdirSync(path.dirname(at), { recursive: true })
  fs.writeFileSync(at, content)
}

const parent = (at: string) => {
  fs.mkdirSync(path.dirname(at), { recursive: true })
  return at
}

/** Things that are no regular file of one name, each at a place of the tree. */
const entities: ReadonlyArray<readonly [string, Rule, (at: string, ground: Ground) => void]> = [
  ["an absolute link to a file", "Symlink", (at, { outside }) => fs.symlinkSync(`${outside}/secret`, at)],
  ["an absolute link to a directory", "Symlink", (at, { outside }) => fs.symlinkSync(outside, at)],
  [
    "a relative link outwards",
    "Symlink",
    (at, { outside }) => fs.symlinkSync(path.relative(path.dirname(at), `${outside}/secret`), at)
  ],
  ["a link to nothing", "Symlink", (at) => fs.symlinkSync("/nowhere", at)],
  ["a link to itself", "Symlink", (at) => fs.symlinkSync(path.basename(at), at)],
  [
    "a link within the tree",
    "Symlink",
    (at, { root }) => fs.symlinkSync(path.relative(path.dirname(at), `${root}/README.md`), at)
  ],
  ["a link to /proc/self/environ", "Symlink", (at) => fs.symlinkSync("/proc/self/environ", at)],
  ["a hard link to a file outside", "HardLink", (at, { outside }) => fs.linkSync(`${outside}/secret`, at)],
  ["a FIFO", "Fifo", (at) => run("mkfifo", [at])],
  ["a socket", "Socket", (at) => {
    spawnSync(process.execPath, [
      "-e",
      `require("net").createServer().listen(${JSON.stringify(at)}, () => process.kill(process.pid, 9))`
    ])
  }],
  ["a set-user-id file", "SetId", (at) => {
    fs.writeFileSync(at, "x")
    fs.chmodSync(at, 0o4755)
  }],
  ["a set-group-id file", "SetId", (at) => {
    fs.writeFileSync(at, "x")
    fs.chmodSync(at, 0o2755)
  }],
  ["a sparse file", "Sparse", (at) => {
    fs.writeFileSync(at, "x")
    fs.truncateSync(at, 1_048_576)
  }],
  ["a file of more bytes than a file may have", "Sparse", (at) => {
    fs.writeFileSync(at, "")
    fs.truncateSync(at, 2 ** 40)
  }]
]

const devices: typeof entities = process.getuid?.() === 0
  ? [
    ["a character device", "Device", (at) => run("mknod", [at, "c", "1", "3"])],
    ["a block device", "Device", (at) => run("mknod", [at, "b", "7", "200"])]
  ]
  : []

const places = ["artifacts/thing", "artifacts/deep/er/thing", "patches/thing.patch", "logs/stream.ndjson", "README.md"]

const atPlaces: ReadonlyArray<Hostile> = places.flatMap((place) =>
  [...entities, ...devices].map(([what, rule, make]): Hostile => ({
    name: `${what} as ${place}`,
    rule,
    make: (ground) => {
      const at = parent(path.join(ground.root, place))
      fs.rmSync(at, { force: true })
      make(at, ground)
    }
  }))
)

const directoryLinks: ReadonlyArray<Hostile> = ["artifacts", "patches", "logs", "artifacts/a/b"].map((place) => ({
  name: `a directory outside, linked as ${place}`,
  rule: "Symlink",
  make: ({ outside, root }) => {
    const at = parent(path.join(root, place))
    fs.rmSync(at, { recursive: true, force: true })
    fs.symlinkSync(outside, at)
  }
}))

/** Names that are on disk as they are, with the rule they break. */
const names: ReadonlyArray<readonly [string, Rule]> = [
  ["a\\b", "Backslash"],
  ["..\\..\\secret", "Backslash"],
  ["C:x", "Drive"],
  ["c:", "Drive"],
  ["file:stream", "Drive"],
  ["a\nb", "Control"],
  ["a\rb", "Control"],
  ["a\tb", "Control"],
  ["\u001b[31mred", "Control"],
  ["a\u007f", "Control"],
  ["a\u0085", "Control"],
  ["cod\u202etxt.exe", "Control"],
  ["a\u2066b", "Control"],
  ["a\u2028b", "Control"],
  ["con", "Reserved"],
  ["CON", "Reserved"],
  ["Aux.c", "Reserved"],
  ["nul.tar.gz", "Reserved"],
  ["COM1", "Reserved"],
  ["lpt9.txt", "Reserved"],
  ["COM\u00b9", "Reserved"],
  ["conin$", "Reserved"],
  ["ends.", "Reserved"],
  ["ends ", "Reserved"],
  ["...", "Reserved"],
  ["a?", "Reserved"],
  ["a*", "Reserved"],
  ["a|b", "Reserved"],
  ["a<b", "Reserved"],
  ["a\"b", "Reserved"],
  ["\ufffd", "Encoding"],
  [".GIT", "Git"],
  [".Git", "Git"],
  [".g\u200cit", "Git"],
  ["git~1", "Git"],
  [".gi\u0074\u200d", "Git"]
]

const namedFiles: ReadonlyArray<Hostile> = names.map(([name, rule]) => ({
  name: `a file called ${JSON.stringify(name)}`,
  rule,
  make: ({ root }) => put(root, `artifacts/${name}`)
}))

const namedDirectories: ReadonlyArray<Hostile> = names.map(([name, rule]) => ({
  name: `a directory called ${JSON.stringify(name)}`,
  rule,
  make: ({ root }) => put(root, `artifacts/${name}/config`)
}))

/** Bytes that are no UTF-8. */
const bytes: ReadonlyArray<Hostile> = [[0x80], [0xff, 0x61], [0xc0, 0xae, 0xc0, 0xae], [0x61, 0xed, 0xa0, 0x80]].map((
  name
) => ({
  name: `a file whose name has the bytes ${name.map((byte) => byte.toString(16)).join(" ")}`,
  rule: "Encoding",
  make: ({ root }) => {
    fs.mkdirSync(`${root}/artifacts`, { recursive: true })
    fs.writeFileSync(Buffer.concat([Buffer.from(`${root}/artifacts/`), Buffer.from(name)]), "x")
  }
}))

const collisions: ReadonlyArray<Hostile> = ([
  ["a", "A", "Case"],
  ["readme.md", "README.md", "Case"],
  ["straße", "STRASSE", "Case"],
  ["ſ", "s", "Case"],
  ["x/one", "X/two", "Case"],
  ["a", "a\u200b", "Case"],
  ["\u00e9", "e\u0301", "Unicode"],
  ["\u212b", "\u00c5", "Unicode"],
  ["\u1112\u1161", "\ud558", "Unicode"],
  ["caf\u00e9/one", "cafe\u0301/two", "Unicode"]
] satisfies ReadonlyArray<readonly [string, string, Rule]>).map(([one, other, rule]) => ({
  name: `${JSON.stringify(one)} beside ${JSON.stringify(other)}`,
  rule,
  make: ({ root }) => {
    put(root, `artifacts/${one}`)
    put(root, `artifacts/${other}`)
  }
}))

const bounds: ReadonlyArray<Hostile> = [
  {
    name: "33 directories deep",
    rule: "Depth",
    make: ({ root }) => put(root, `artifacts/${"d/".repeat(32)}file`)
  },
  {
    name: "a path of more than 1,024 characters",
    rule: "PathLength",
    make: ({ root }) => put(root, `artifacts/${`${"n".repeat(200)}/`.repeat(5)}${"n".repeat(30)}`)
  }
]

/** Hostile in what lies on the disk, whatever the manifest says: refused as a bundle and as a tree. */
export const onDisk: ReadonlyArray<Hostile> = [
  ...atPlaces,
  ...directoryLinks,
  ...namedFiles,
  ...namedDirectories,
  ...bytes,
  ...collisions,
  ...bounds
]

/** Paths that can be written into a manifest, with the rule they break. */
const paths: ReadonlyArray<readonly [string, Rule]> = [
  ["/etc/passwd", "Absolute"],
  ["//server/share", "Absolute"],
  ["/", "Absolute"],
  ["..", "Traversal"],
  ["../secret", "Traversal"],
  ["patches/../../secret", "Traversal"],
  ["patches/./x.patch", "Traversal"],
  ["patches//x.patch", "Traversal"],
  ["patches/", "Traversal"],
  ["patches/..", "Traversal"],
  ["", "Traversal"],
  ["./patches/x.patch", "Traversal"],
  ["patches/x.patch\0.txt", "Nul"],
  ["\0", "Nul"],
  ["patches\\x.patch", "Backslash"],
  ["..\\secret", "Backslash"],
  ["\\\\server\\share", "Backslash"],
  ["C:\\secret", "Backslash"],
  ["C:secret", "Drive"],
  ["C:/secret", "Drive"],
  ["patches/x.patch:stream", "Drive"],
  ["file:///etc/passwd", "Drive"],
  ["patches/a\nb", "Control"],
  ["patches/\u202ehctap.x", "Control"],
  ["patches/\ud800", "Encoding"],
  ["patches/\ufffd", "Encoding"],
  ["patches/NUL", "Reserved"],
  ["patches/x.patch.", "Reserved"],
  ["patches/.git/hooks/pre-commit", "Git"],
  [".git/config", "Git"],
  ["sub/.GIT/config", "Git"],
  ["git~1/config", "Git"],
  [`patches/${"x".repeat(1_020)}`, "PathLength"],
  [`patches/${"x".repeat(256)}`, "NameLength"],
  [`patches/${"ü".repeat(128)}`, "NameLength"],
  ["d/".repeat(32) + "x", "Depth"]
]

const manifest = (root: string, value: unknown) => put(root, "README.md", JSON.stringify(value))

const wire = (file: unknown) => ({
  outputs: {},
  status: "finished",
  diffBundle: { seq: 1, baseRef: "base", patches: [file] }
})

const inManifest: ReadonlyArray<Hostile> = paths.flatMap(([name, rule]): ReadonlyArray<Hostile> => [
  {
    name: `a listed patch ${JSON.stringify(name.slice(0, 40))}`,
    rule,
    make: ({ root }) => manifest(root, { outputs: {}, status: "finished", patches: [name] })
  },
  ...["add", "modify", "delete"].map((operation): Hostile => ({
    name: `a diff bundle that would ${operation} ${JSON.stringify(name.slice(0, 40))}`,
    rule,
    make: ({ root }) => manifest(root, wire({ path: name, operation, diff: "" }))
  }))
])

const nest = (depth: number): unknown => depth === 0 ? 1 : { deeper: nest(depth - 1) }

const manifests: ReadonlyArray<Hostile> = [
  { name: "no manifest", rule: "Missing", make: ({ root }) => fs.rmSync(`${root}/README.md`) },
  { name: "an empty manifest", rule: "Missing", make: ({ root }) => put(root, "README.md", "") },
  { name: "markdown", rule: "Manifest", make: ({ root }) => put(root, "README.md", "# Read me\n") },
  { name: "a manifest that is null", rule: "Manifest", make: ({ root }) => manifest(root, null) },
  { name: "a manifest that is a list", rule: "Manifest", make: ({ root }) => manifest(root, []) },
  {
    name: "a hundred thousand brackets",
    rule: "Manifest",
    make: ({ root }) => put(root, "README.md", "[".repeat(100_000))
  },
  { name: "no status", rule: "Manifest", make: ({ root }) => manifest(root, { outputs: {} }) },
  {
    name: "the status pending",
    rule: "Manifest",
    make: ({ root }) => manifest(root, { outputs: {}, status: "pending" })
  },
  {
    name: "a run id of 257 characters",
    rule: "Manifest",
    make: ({ root }) => manifest(root, { status: "failed", runId: "r".repeat(257) })
  },
  {
    name: "1,001 listed patches",
    rule: "Manifest",
    make: ({ root }) =>
      manifest(root, { status: "failed", patches: Array.from({ length: 1_001 }, (_, n) => `patches/${n}.patch`) })
  },
  {
    name: "a patch listed twice",
    rule: "Manifest",
    make: ({ root }) => {
      put(root, "patches/a.patch")
      manifest(root, { status: "failed", patches: ["patches/a.patch", "patches/a.patch"] })
    }
  },
  {
    name: "a listed patch that is not there",
    rule: "Missing",
    make: ({ root }) => manifest(root, { status: "failed", patches: ["patches/a.patch"] })
  },
  {
    name: "a listed patch elsewhere in the bundle",
    rule: "Layout",
    make: ({ root }) => {
      put(root, "artifacts/a.patch")
      manifest(root, { status: "failed", patches: ["artifacts/a.patch"] })
    }
  },
  {
    name: "listed patches that differ in case",
    rule: "Case",
    make: ({ root }) => manifest(root, { status: "failed", patches: ["patches/a.patch", "patches/A.patch"] })
  },
  {
    name: "outputs of 17 levels",
    rule: "Manifest",
    make: ({ root }) => manifest(root, { status: "failed", outputs: nest(17) })
  },
  {
    name: "outputs with an array of 513",
    rule: "Manifest",
    make: ({ root }) => manifest(root, { status: "failed", outputs: { a: Array(513).fill(0) } })
  },
  {
    name: "outputs with a string of 64 KiB and one",
    rule: "Manifest",
    make: ({ root }) => manifest(root, { status: "failed", outputs: ["x".repeat(65_537)] })
  },
  {
    name: "outputs with a member __proto__",
    rule: "Manifest",
    make: ({ root }) => put(root, "README.md", `{"status":"failed","outputs":{"a":{"__proto__":{"admin":true}}}}`)
  },
  {
    name: "a diff bundle with an operation of its own",
    rule: "Manifest",
    make: ({ root }) => manifest(root, wire({ path: "a", operation: "execute", diff: "" }))
  },
  {
    name: "a manifest of 5 MiB and one",
    rule: "FileSize",
    make: ({ root }) => manifest(root, { status: "failed", outputs: "x".repeat(5_242_880) })
  },
  {
    name: "1,001 patches",
    rule: "TooMany",
    make: ({ root }) => {
      for (let n = 0; n <= 1_000; n++) put(root, `patches/${n}.patch`)
    }
  },
  {
    name: "1,001 artifacts",
    rule: "TooMany",
    make: ({ root }) => {
      for (let n = 0; n <= 1_000; n++) put(root, `artifacts/${n}`)
    }
  },
  {
    name: "more than 4,000 directories",
    rule: "TooMany",
    make: ({ root }) => {
      for (let n = 0; n <= 4_000; n++) fs.mkdirSync(`${root}/artifacts/${n}`, { recursive: true })
    }
  },
  {
    name: "100 MiB and one byte together",
    rule: "TotalSize",
    make: ({ root }) => {
      for (let n = 0; n < 10; n++) put(root, `artifacts/${n}`, Buffer.alloc(10_485_760, 1))
    }
  },
  {
    name: "100 MiB and one byte in one file",
    rule: "FileSize",
    make: ({ root }) => put(root, "artifacts/a", Buffer.alloc(104_857_601, 1))
  },
  { name: "a file beside the manifest", rule: "Layout", make: ({ root }) => put(root, "evil.sh") },
  { name: "a directory of its own", rule: "Layout", make: ({ root }) => put(root, "bin/evil") },
  { name: "another log", rule: "Layout", make: ({ root }) => put(root, "logs/other.log") },
  { name: "a patch that is none", rule: "Layout", make: ({ root }) => put(root, "patches/evil.sh") }
]

/** Hostile as a bundle only. */
export const asBundle: ReadonlyArray<Hostile> = [...inManifest, ...manifests]
