import { Effect, Layer } from "effect"
import { spawnSync } from "node:child_process"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import * as BlobStore from "../../../../src/sandbox/BlobStore.ts"

/** A directory of the test's own, gone with the scope. */
export const temporary = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "smithers-bundle-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

/** A store on a directory of its own. */
export const storeLayer = Layer.unwrapScoped(
  Effect.map(temporary, (directory) => BlobStore.layer(`${directory}/blobs`))
)

/** Path → content, and whether it is executable. */
export type Files = Readonly<Record<string, string | Uint8Array | { readonly content: string | Uint8Array }>>

export const isExecutable = (file: Files[string]): boolean => typeof file === "object" && "content" in file

export const contentOf = (file: Files[string]): Buffer => {
  const content = typeof file === "object" && "content" in file ? file.content : file
  return typeof content === "string" ? Buffer.from(content) : Buffer.from(content)
}

/** Writes files into a directory, which is made. */
export const write = (directory: string, files: Files): string => {
  fs.mkdirSync(directory, { recursive: true })
  for (const [name, file] of Object.entries(files)) {
    const at = path.join(directory, name)
    fs.mkdirSync(path.dirname(at), { recursive: true })
    fs.writeFileSync(at, contentOf(file))
    fs.chmodSync(at, isExecutable(file) ? 0o755 : 0o644)
  }
  return directory
}

/** Everything below a directory as text that is equal exactly when names, kinds, modes, link targets and bytes are. */
export const snapshot = (directory: string): string => {
  const lines: Array<string> = []
  const visit = (at: string, name: string) => {
    const stat = fs.lstatSync(at)
    const what = stat.isSymbolicLink()
      ? `link ${fs.readlinkSync(at)}`
      : stat.isFile()
      ? `file ${stat.nlink} ${fs.readFileSync(at).toString("base64")}`
      : stat.isDirectory()
      ? "directory"
      : "special"
    lines.push(`${name} ${(stat.mode & 0o7777).toString(8)} ${what}`)
    if (stat.isDirectory()) {
      for (const entry of fs.readdirSync(at).sort()) visit(path.join(at, entry), `${name}/${entry}`)
    }
  }
  visit(directory, "")
  return lines.join("\n")
}

/** The files of a directory as one would write them with `write`. */
export const read = (directory: string): ReadonlyMap<string, string> => {
  const files = new Map<string, string>()
  const visit = (at: string, name: string) => {
    for (const entry of fs.readdirSync(at).sort()) {
      const inner = path.join(at, entry)
      const stat = fs.lstatSync(inner)
      const innerName = name === "" ? entry : `${name}/${entry}`
      if (stat.isDirectory()) visit(inner, innerName)
      else files.set(innerName, `${(stat.mode & 0o100) !== 0 ? "x" : "-"} ${fs.readFileSync(inner).toString("base64")}`)
    }
  }
  visit(directory, "")
  return files
}

/** Runs a command to its end; for devices and FIFOs, which Node cannot make, and for git as a second opinion. */
export const run = (
  command: string,
  args: ReadonlyArray<string>,
  options: { cwd?: string; input?: string | Uint8Array } = {}
) => {
  const { status, stderr, stdout } = spawnSync(command, [...args], {
    ...options,
    env: { PATH: "/usr/bin:/bin", HOME: "/nonexistent", GIT_CONFIG_NOSYSTEM: "1" }
  })
  return { status, stdout: stdout.toString(), stderr: stderr.toString() }
}
