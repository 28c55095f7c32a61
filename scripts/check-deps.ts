import { spawnSync } from "node:child_process"
import fs from "node:fs"
import { createRequire } from "node:module"
import path from "node:path"
import semver from "semver"
import type { Finding } from "./Finding.ts"

interface Manifest {
  readonly engines: { readonly node: string }
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

export interface LockedPackage {
  readonly version?: string
  readonly resolved?: string
  readonly engines?: { readonly node?: string }
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly dev?: boolean
  readonly optional?: boolean
  readonly os?: ReadonlyArray<string>
  readonly cpu?: ReadonlyArray<string>
  readonly libc?: ReadonlyArray<string>
}

/** The lowest release without the bug that drops committed transactions (SQLite's WAL-reset bug). */
const lowestDriver = "12.11.1"

/** Everything about our dependencies: used, declared, pinned, single, able to run on our Node, explained. */
export const checkDeps = (
  directory: string
): ReadonlyArray<Finding> => [
  ...manifestFindings(directory),
  ...lockFindings(directory),
  ...readmeFindings(directory),
  ...knipFindings(directory)
]

const read = (directory: string, file: string): string => fs.readFileSync(path.join(directory, file), "utf8")

const readManifest = (directory: string) => JSON.parse(read(directory, "package.json")) as Manifest

const declared = ({ dependencies, devDependencies }: Manifest) =>
  Object.entries({ ...dependencies, ...devDependencies })

/** The line of the first occurrence, 1 when there is none. */
const lineOf = (text: string, needle: string): number =>
  text.slice(0, Math.max(0, text.indexOf(needle))).split("\n").length

export const manifestFindings = (directory: string): ReadonlyArray<Finding> => {
  const text = read(directory, "package.json")
  return declared(readManifest(directory)).flatMap(([name, version]) =>
    semver.valid(version) === version ? [] : [{
      file: "package.json",
      line: lineOf(text, `"${name}": "${version}"`),
      rule: "exact-pin",
      message: `${name} is asked for as ${version}, name one version`
    }]
  )
}

/** `node_modules/a/node_modules/b` is b. */
const nameOf = (at: string): string => at.slice(at.lastIndexOf("node_modules/") + "node_modules/".length)

export const lockFindings = (directory: string): ReadonlyArray<Finding> => {
  const file = "package-lock.json"
  const text = read(directory, file)
  const { packages } = JSON.parse(text) as { readonly packages: Readonly<Record<string, LockedPackage>> }
  const { node: engines } = readManifest(directory).engines
  const lowest = semver.minVersion(engines)?.version ?? engines
  const installed = Object.entries(packages).filter(([at]) => at !== "").map((
    [at, { engines, resolved, version = "" }]
  ) => ({
    at,
    name: nameOf(at),
    line: lineOf(text, `"${at}": {`),
    version,
    resolved,
    node: engines?.node ?? "*"
  }))

  const hoisted = new Map(
    installed.filter(({ at, name }) => at === `node_modules/${name}`).map((one) => [one.name, one])
  )
  const duplicates = installed.filter((one) => /^(@effect\/|effect$)/.test(one.name) && hoisted.get(one.name) !== one)
  return [
    ...missingOptionals(packages).map(({ name, parent }) => ({
      file,
      line: lineOf(text, `"${parent}": {`),
      rule: "incomplete-lock",
      message: `${name} is missing and npm ci will refuse: node scripts/run.mjs scripts/complete-lock.ts`
    })),
    ...installed.filter(({ resolved }) => resolved !== undefined).map(({ line, name }) => ({
      file,
      line,
      rule: "registry-host",
      message: `${name} is tied to one registry, .npmrc has omit-lockfile-registry-resolved=true`
    })),
    ...duplicates.map(({ line, name, version }) => ({
      file,
      line,
      rule: "one-effect",
      message: `a second ${name} (${version}) is in the tree beside ${hoisted.get(name)?.version}`
    })),
    ...installed.filter(({ name, version }) => name === "better-sqlite3" && semver.lt(version, lowestDriver))
      .map(({ line, version }) => ({
        file,
        line,
        rule: "lowest-driver",
        message: `better-sqlite3 ${version} bundles an SQLite that can drop commits, ${lowestDriver} is the lowest`
      })),
    ...installed.flatMap(({ line, name, node, version }) =>
      // The version at hand too: the gate runs on every major that we support.
      [...new Set([lowest, process.versions.node])].filter((our) => !semver.satisfies(our, node)).map((our) => ({
        file,
        line,
        rule: "engines",
        message: `${name} ${version} does not run on Node ${our}, it asks for ${node}`
      }))
    )
  ]
}

/** Packages of other platforms that npm has left out of the lock file, which `npm ci` then refuses. */
export const missingOptionals = (packages: Readonly<Record<string, LockedPackage>>) => {
  const names = new Set(Object.keys(packages).map(nameOf))
  return Object.entries(packages).flatMap(([parent, { optionalDependencies = {} }]) =>
    Object.entries(optionalDependencies)
      .filter(([name]) => !names.has(name))
      .map(([name, version]) => ({ name, version, parent }))
  )
}

/** Each dependency has a row in the README's table, and each row a dependency. */
export const readmeFindings = (directory: string): ReadonlyArray<Finding> => {
  const file = "README.md"
  const lines = fs.existsSync(path.join(directory, file)) ? read(directory, file).split("\n") : []
  const start = lines.indexOf("## Dependencies")
  if (start === -1) {
    return [{ file, line: 1, rule: "readme-dependencies", message: "the section \"## Dependencies\" is missing" }]
  }
  const length = lines.slice(start + 1).findIndex((line) => line.startsWith("## "))
  const rows = new Map(
    lines.slice(start, length === -1 ? undefined : start + 1 + length).flatMap((line, index) => {
      const name = /^\| *`([^`]+)`/.exec(line)?.[1]
      return name === undefined ? [] : [[name, start + index + 1]]
    })
  )
  const names = declared(readManifest(directory)).map(([name]) => name)
  return [
    ...names.filter((name) => !rows.has(name)).map((name) => ({
      file,
      line: start + 1,
      rule: "readme-dependencies",
      message: `${name} has no row that says what it is for`
    })),
    ...[...rows].filter(([name]) => !names.includes(name)).map(([name, line]) => ({
      file,
      line,
      rule: "readme-dependencies",
      message: `${name} has a row and is no dependency`
    }))
  ]
}

interface KnipItem {
  readonly name: string
  readonly line?: number
}

interface KnipReport {
  readonly files: ReadonlyArray<string>
  readonly issues: ReadonlyArray<{ readonly file: string } & Readonly<Record<string, unknown>>>
}

const knipRules: Readonly<Record<string, string>> = {
  dependencies: "unused-dependency",
  devDependencies: "unused-dependency",
  unlisted: "undeclared-dependency",
  binaries: "undeclared-dependency",
  unresolved: "unresolved-import",
  exports: "unused-export",
  nsExports: "unused-export",
  types: "unused-export",
  nsTypes: "unused-export",
  duplicates: "duplicate-export"
}

/** Twice: what ships must need nothing but `dependencies`; the rest may also use `devDependencies`. */
export const knipFindings = (directory: string): ReadonlyArray<Finding> => {
  const findings = [...runKnip(directory, ["--production", "--strict"]), ...runKnip(directory, [])]
  return [...new Map(findings.map((finding) => [JSON.stringify(finding), finding])).values()]
}

const runKnip = (directory: string, mode: ReadonlyArray<string>): ReadonlyArray<Finding> => {
  const knip = path.resolve(createRequire(path.join(directory, "package.json")).resolve("knip"), "../../bin/knip.js")
  const args = [knip, ...mode, "--directory", directory, "--reporter", "json", "--no-config-hints"]
  const { stderr, stdout } = spawnSync(process.execPath, args, { cwd: directory, encoding: "utf8" })
  if (!stdout.startsWith("{")) throw new Error(`knip gave no report: ${stderr}${stdout}`)
  const { files, issues } = JSON.parse(stdout) as KnipReport
  return [
    ...files.map((file) => ({ file, line: 1, rule: "unused-file", message: "nothing that ships or runs imports it" })),
    ...issues.flatMap((issue) =>
      Object.entries(knipRules).flatMap(([kind, rule]) =>
        ((issue[kind] ?? []) as ReadonlyArray<KnipItem>).map(({ line = 1, name }) => ({
          file: issue.file,
          line,
          rule,
          message: `${name} (${kind})`
        }))
      )
    )
  ]
}
