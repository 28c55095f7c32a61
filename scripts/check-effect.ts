import fs from "node:fs"
import { createRequire } from "node:module"
import path from "node:path"
import ts from "typescript"
import { isExempt } from "./effect-rules.ts"
import type { Finding } from "./Finding.ts"
import { loadOptions, sourceFilesUnder } from "./project.ts"

const loadPlugin = createRequire(import.meta.url)("@effect/language-service/index.js") as ts.server.PluginModuleFactory

/** The diagnostics of the Effect language service and our own rules over `src/` and `test/`. */
export const checkEffect = (directory: string): ReadonlyArray<Finding> =>
  [...languageServiceFindings(directory), ...ownFindings(directory)].filter(({ file, rule }) => !isExempt(file, rule))

const checkedFiles = (directory: string) =>
  ["src", "test"].flatMap((folder) => sourceFilesUnder(path.join(directory, folder)))

const pluginName = "@effect/language-service"

/**
 * Its plugin on one language service for all files. Its own command line reads the whole program again for every 50.
 * TypeScript's own errors are the type check's.
 */
const languageServiceFindings = (directory: string): ReadonlyArray<Finding> => {
  const files = checkedFiles(directory)
  const options = loadOptions(directory)
  const host: ts.LanguageServiceHost = {
    fileExists: ts.sys.fileExists,
    readFile: ts.sys.readFile,
    readDirectory: ts.sys.readDirectory,
    directoryExists: ts.sys.directoryExists,
    getDirectories: ts.sys.getDirectories,
    getCompilationSettings: () => options,
    getScriptFileNames: () => [...files],
    getScriptVersion: () => "",
    getScriptSnapshot: (file) => {
      const text = ts.sys.readFile(file)
      return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text)
    },
    getCurrentDirectory: () => directory,
    getDefaultLibFileName: ts.getDefaultLibFilePath
  }
  const plugins = options["plugins"] as ReadonlyArray<{ readonly name: string }> | undefined
  // There is no server here, so only what the plugin looks at.
  const service = loadPlugin({ typescript: ts }).create({
    languageService: ts.createLanguageService(host),
    languageServiceHost: host,
    config: { ...plugins?.find(({ name }) => name === pluginName), diagnosticsName: true },
    project: { log: () => {} }
  } as unknown as ts.server.PluginCreateInfo)
  return files.flatMap((fileName) => service.getSemanticDiagnostics(fileName)).flatMap((diagnostic) => {
    const { category, file, source, start } = diagnostic
    if (source !== "effect" || file === undefined || start === undefined) return []
    if (category !== ts.DiagnosticCategory.Error && category !== ts.DiagnosticCategory.Warning) return []
    const text = ts.flattenDiagnosticMessageText(diagnostic.messageText, " ").replaceAll(/\s*\n\s*/g, " ")
    const [, message, rule] = /^(.*?)\s*effect\((\w+)\)$/.exec(text) ?? []
    if (message === undefined || rule === undefined) throw new Error(`a diagnostic without its name: ${text}`)
    return [{
      file: path.relative(directory, file.fileName),
      line: file.getLineAndCharacterOfPosition(start).line + 1,
      rule,
      message
    }]
  })
}

/** Our own rules, which need the syntax only. */
export const ownFindings = (directory: string): ReadonlyArray<Finding> =>
  checkedFiles(directory).flatMap((fileName) => {
    const source = ts.createSourceFile(fileName, fs.readFileSync(fileName, "utf8"), ts.ScriptTarget.Latest, true)
    const file = path.relative(directory, fileName)
    const findings: Array<Finding> = unexplainedDirectives(source).map((line) => ({
      file,
      line,
      rule: "directiveReason",
      message: "switching a check off needs its reason: // directive -- reason"
    }))
    const visit = (node: ts.Node): void => {
      const broken = brokenRule(node, source)
      if (broken !== undefined) findings.push({ file, line: lineOf(source, node), ...broken })
      ts.forEachChild(node, visit)
    }
    visit(source)
    return findings
  })

const lineOf = (source: ts.SourceFile, node: ts.Node) =>
  source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1

const runners = /^run(Promise|Sync|Fork|Callback|Main)(Exit|With)?$/

const brokenRule = (node: ts.Node, source: ts.SourceFile): Pick<Finding, "rule" | "message"> | undefined => {
  if (ts.isIdentifier(node)) {
    if (runners.test(node.text)) return { rule: "effectRun", message: `${node.text} belongs to the edges` }
    if (node.text === "withTransaction") {
      return { rule: "withTransaction", message: "hand a unit to the writer of persistence (traps.md 2)" }
    }
    if (node.text === "disableValidation") {
      return { rule: "disableValidation", message: "data is made valid, not waved through" }
    }
  }
  if (ts.isTryStatement(node)) {
    return { rule: "tryCatch", message: "use Effect.try and typed errors, Effect.ensuring to clean up" }
  }
  if (node.kind === ts.SyntaxKind.AsyncKeyword) {
    return { rule: "promise", message: "an async function leaves the Effect world, use Effect.gen" }
  }
  if (ts.isPropertyAccessExpression(node)) {
    const isChain = ts.isCallExpression(node.parent) && node.parent.expression === node &&
      ["then", "catch", "finally"].includes(node.name.text)
    if (isChain || (ts.isIdentifier(node.expression) && node.expression.text === "Promise")) {
      return { rule: "promise", message: `.${node.name.text} of a promise, use Effect` }
    }
  }
  if (ts.isNewExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === "Promise") {
    return { rule: "promise", message: "new Promise, use Effect.async" }
  }
  if (ts.isTaggedTemplateExpression(node) && node.typeArguments && /sql$/i.test(node.tag.getText(source))) {
    return { rule: "sqlTemplateType", message: "a typed sql template is an unchecked cast, decode with a Schema" }
  }
  if (isUncheckedCast(node) && !hasReason(node, source)) {
    return { rule: "uncheckedCast", message: "a cast around the checker needs its reason in a comment beside it" }
  }
  return undefined
}

/** `as any`, and `as unknown as T`. */
const isUncheckedCast = (node: ts.Node): boolean =>
  ts.isAsExpression(node) && (
    node.type.kind === ts.SyntaxKind.AnyKeyword ||
    (ts.isAsExpression(node.expression) && node.expression.type.kind === ts.SyntaxKind.UnknownKeyword)
  )

/** A comment that ends the line of the cast's end, or the line above its statement or its own line. */
const hasReason = (node: ts.Node, source: ts.SourceFile): boolean => {
  const lines = source.text.split("\n")
  const lineAt = (position: number) => source.getLineAndCharacterOfPosition(position).line
  const statement = ts.findAncestor(node, ts.isStatement) ?? node
  const comment = /^\s*(\/\/|\/?\*).*\p{L}/u
  return /\/\/.*\p{L}/u.test(lines[lineAt(node.end)] ?? "") ||
    comment.test(lines[lineAt(node.getStart(source)) - 1] ?? "") ||
    comment.test(lines[lineAt(statement.getStart(source)) - 1] ?? "")
}

/** A directive must say why: for TypeScript after its name, for the others after `--`. */
const unexplainedDirectives = (source: ts.SourceFile): ReadonlyArray<number> =>
  source.text.split("\n").flatMap((line, index) => {
    const text = /(?:\/\/|\/\*+)\s*(@ts-(?:ignore|expect-error|nocheck)|eslint-disable|@effect-diagnostics)(.*)/.exec(
      line
    )
    if (text === null) return []
    const [, directive = "", rest = ""] = text
    const reason = directive.startsWith("@ts-") ? rest : rest.split(" -- ")[1]
    return reason !== undefined && /\p{L}{3}/u.test(reason) ? [] : [index + 1]
  })
