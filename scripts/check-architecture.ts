import fs from "node:fs"
import path from "node:path"
import ts from "typescript"
import { frontDoorsOf, libraryTags, rootFiles, type Subsystem, subsystemOf, subsystems } from "./architecture.ts"
import type { Finding } from "./Finding.ts"
import { loadProgram, sourceFilesUnder } from "./project.ts"

interface Import {
  readonly specifier: string
  readonly line: number
  /** Path relative to `src/`, or undefined for a package. Starts with `../` when it leaves `src/`. */
  readonly target: string | undefined
}

/** Checks the imports of everything under `src/`, and what its layers require, against the table. */
export const checkArchitecture = (directory: string): ReadonlyArray<Finding> => {
  const src = path.join(directory, "src")
  const own = ownExports(directory)
  const imports = new Map(
    sourceFilesUnder(src).map((file) => [path.relative(src, file), importsOf(file, src, own)])
  )
  return [...checkPlaces(imports), ...checkImports(imports), ...checkCycles(imports), ...checkLayers(directory)]
}

const inSrc = (file: string) => path.posix.join("src", file)

/** Our own subpath exports, by which a source file may name another one. */
const ownExports = (directory: string): ReadonlyMap<string, string> => {
  const manifest = JSON.parse(fs.readFileSync(path.join(directory, "package.json"), "utf8")) as {
    readonly name: string
    readonly exports?: Readonly<Record<string, { readonly "@app/source"?: string }>>
  }
  return new Map(
    Object.entries(manifest.exports ?? {}).flatMap(([subpath, { "@app/source": source }]) =>
      source === undefined ? [] : [[path.posix.join(manifest.name, subpath), path.join(directory, source)]]
    )
  )
}

const importsOf = (file: string, src: string, own: ReadonlyMap<string, string>): ReadonlyArray<Import> => {
  const text = fs.readFileSync(file, "utf8")
  // Sees every form: import, export from, import type, import("…") as expression and as type.
  return ts.preProcessFile(text, true, true).importedFiles.map(({ fileName: specifier, pos }) => {
    const target = specifier.startsWith(".") ? path.resolve(path.dirname(file), specifier) : own.get(specifier)
    return {
      specifier,
      line: text.slice(0, pos).split("\n").length,
      target: target && path.relative(src, target)
    }
  })
}

type ImportGraph = ReadonlyMap<string, ReadonlyArray<Import>>

const checkPlaces = (imports: ImportGraph): ReadonlyArray<Finding> =>
  [...imports.keys()].flatMap((file) => {
    const subsystem = subsystemOf(file)
    const known = subsystem === undefined ? rootFiles.includes(file) : subsystem in subsystems
    return known ? [] : [{
      file: inSrc(file),
      line: 1,
      rule: "unknown-place",
      message: "the table in scripts/architecture.ts knows no such subsystem or root file"
    }]
  })

const checkImports = (imports: ImportGraph): ReadonlyArray<Finding> =>
  [...imports].flatMap(([file, list]) => {
    const name = subsystemOf(file)
    const subsystem = name === undefined ? undefined : subsystems[name]
    if (name === undefined || subsystem === undefined) return []
    return list.flatMap((entry) => {
      const violation = entry.target === undefined
        ? packageViolation(name, subsystem, entry.specifier)
        : sourceViolation(name, subsystem, entry.target)
      return violation === undefined ? [] : [{ file: inSrc(file), line: entry.line, ...violation }]
    })
  })

type Violation = Pick<Finding, "rule" | "message"> | undefined

const sourceViolation = (name: string, { mayImport }: Subsystem, target: string): Violation => {
  if (target.startsWith("../")) return { rule: "leaves-src", message: `${target.slice(3)} is outside src/` }
  const other = subsystemOf(target)
  if (other === name) return undefined
  if (other === undefined) return { rule: "points-up", message: `${name}/ may not import ${target}` }
  if (!mayImport.includes(other)) return { rule: "not-allowed", message: `${name}/ may not import ${other}/` }
  const doors = frontDoorsOf(other)
  // A folder knows its own parts.
  if (doors.includes(target) || other.startsWith(`${name}/`)) return undefined
  return { rule: "front-door", message: `${target} is private to ${other}/, import ${doors.join(" or ")}` }
}

const packageViolation = (name: string, { packages }: Subsystem, specifier: string): Violation => {
  const matches = (pattern: string) =>
    pattern.endsWith("/*")
      ? specifier.startsWith(pattern.slice(0, -1))
      : specifier === pattern || specifier.startsWith(`${pattern}/`)
  return packages === undefined || packages.some(matches)
    ? undefined
    : { rule: "package-not-allowed", message: `${name}/ may not import the package ${specifier}` }
}

/** A circle is reported once, at the import that closes it. */
const checkCycles = (imports: ImportGraph): ReadonlyArray<Finding> => {
  const findings: Array<Finding> = []
  const done = new Set<string>()
  const trail: Array<string> = []
  const visit = (file: string): void => {
    trail.push(file)
    for (const { line, target } of imports.get(file) ?? []) {
      if (target === undefined || done.has(target)) continue
      const start = trail.indexOf(target)
      if (start === -1) visit(target)
      else {
        const circle = [...trail.slice(start), target].join(" → ")
        findings.push({ file: inSrc(file), line, rule: "circle", message: circle })
      }
    }
    trail.pop()
    done.add(file)
  }
  for (const file of imports.keys()) if (!done.has(file)) visit(file)
  return findings
}

/** Every layer that a front door exports may require only Tags of folders that its own folder may import. */
const checkLayers = (directory: string): ReadonlyArray<Finding> => {
  const src = path.join(directory, "src")
  const doors = Object.keys(subsystems).flatMap((name) => frontDoorsOf(name).map((door) => [name, door] as const))
    .filter(([, door]) => fs.existsSync(path.join(src, door)))
  const program = loadProgram(directory, doors.map(([, door]) => path.join(src, door)))
  const checker = program.getTypeChecker()
  const findings: Array<Finding> = []

  for (const [name, door] of doors) {
    const { mayImport = [], mayRequire = [] } = subsystems[name] ?? {}
    const allowed = [...mayImport, ...mayRequire, ...libraryTags]
    const frontDoor = program.getSourceFile(path.join(src, door))
    const module = frontDoor && checker.getSymbolAtLocation(frontDoor)
    if (frontDoor === undefined || module === undefined) continue

    for (const { declaration, exportName, requirements } of layersOf(checker, module, frontDoor)) {
      for (const tag of constituents(requirements)) {
        const source = tag.symbol?.declarations?.[0]?.getSourceFile()
        const owner = source && ownerOf(source.fileName, tag.symbol.name, src)
        if (owner === name || (owner !== undefined && allowed.includes(owner))) continue
        const file = declaration.getSourceFile()
        findings.push({
          file: path.relative(directory, file.fileName),
          line: file.getLineAndCharacterOfPosition(declaration.getStart()).line + 1,
          rule: "layer-requirement",
          message: `${exportName} requires ${checker.typeToString(tag)}` +
            (owner === undefined ? ", which is no Tag" : `, a Tag of ${owner} that ${name}/ may not require`)
        })
      }
    }
  }
  return findings
}

/** The subsystem that declares the Tag, or `package/Tag` for one of a library. */
const ownerOf = (fileName: string, tag: string, src: string): string | undefined => {
  const library = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(fileName)
  return library ? `${library[1]}/${tag}` : subsystemOf(path.relative(src, fileName))
}

const constituents = (type: ts.Type): ReadonlyArray<ts.Type> =>
  type.isUnion() ? type.types : (type.flags & ts.TypeFlags.Never) !== 0 ? [] : [type]

interface ExportedLayer {
  readonly exportName: string
  readonly declaration: ts.Node
  readonly requirements: ts.Type
}

/** Layers and functions that make layers: exported consts, members of exported namespaces, statics of classes. */
const layersOf = (checker: ts.TypeChecker, module: ts.Symbol, at: ts.Node): ReadonlyArray<ExportedLayer> => {
  const found: Array<ExportedLayer> = []
  const visit = (symbol: ts.Symbol, exportName: string): void => {
    const target = (symbol.flags & ts.SymbolFlags.Alias) !== 0 ? checker.getAliasedSymbol(symbol) : symbol
    if ((target.flags & ts.SymbolFlags.ValueModule) !== 0) {
      for (const member of checker.getExportsOfModule(target)) visit(member, `${exportName}.${member.name}`)
      return
    }
    const declaration = target.valueDeclaration
    if (declaration === undefined) return
    const type = checker.getTypeOfSymbolAtLocation(target, at)
    const made = [type, ...type.getCallSignatures().map((signature) => signature.getReturnType())]
    for (const layer of made) {
      const requirements = requirementsOf(checker, layer)
      if (requirements !== undefined) found.push({ exportName, declaration, requirements })
    }
    if ((target.flags & ts.SymbolFlags.Class) === 0) return
    for (const member of target.exports?.values() ?? []) {
      if ((member.flags & ts.SymbolFlags.Property) !== 0) visit(member, `${exportName}.${member.name}`)
    }
  }
  for (const symbol of checker.getExportsOfModule(module)) visit(symbol, symbol.name)
  return found
}

/** The third argument of `Layer<ROut, E, RIn>`. */
const requirementsOf = (checker: ts.TypeChecker, type: ts.Type): ts.Type | undefined => {
  const file = type.symbol?.name === "Layer" && type.symbol.declarations?.[0]?.getSourceFile().fileName
  return typeof file === "string" && file.endsWith("/Layer.d.ts")
    ? checker.getTypeArguments(type as ts.TypeReference)[2]
    : undefined
}
