import { Command, FileSystem } from "@effect/platform"
import { Effect } from "effect"
import { build } from "esbuild"
import fs from "node:fs"
import path from "node:path"
import ts from "typescript"
import { files } from "./Readme.ts"

const root = process.cwd()

/** What the compiler says of the README's files, as if they lay in this folder. */
export const diagnostics = (): ReadonlyArray<string> => {
  const { config } = ts.readConfigFile(path.join(root, "tsconfig.json"), (file) => ts.sys.readFile(file)) as {
    readonly config: { readonly compilerOptions: object }
  }
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root)
  const shown = new Map([...files].map(([name, text]) => [path.join(root, "test/readme", name), text]))
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile } = host
  host.fileExists = (file) => shown.has(path.normalize(file)) || fileExists.call(host, file)
  host.readFile = (file) => shown.get(path.normalize(file)) ?? readFile.call(host, file)
  const program = ts.createProgram([...shown.keys()], options, host)
  return [...shown.keys()].flatMap((file) => {
    const source = program.getSourceFile(file)
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
  }).map(({ file, messageText, start = 0 }) =>
    `${path.basename(file?.fileName ?? "")}:${(file?.getLineAndCharacterOfPosition(start).line ?? 0) + 1}: ${
      ts.flattenDiagnosticMessageText(messageText, "\n")
    }`
  )
}

const { dependencies, devDependencies } = JSON.parse(fs.readFileSync("package.json", "utf8")) as {
  readonly dependencies: object
  readonly devDependencies: object
}

const bundle = (name: string, outfile: string) =>
  build({
    absWorkingDir: root,
    stdin: { contents: files.get(name) ?? "", sourcefile: name, resolveDir: root, loader: "ts" },
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    conditions: ["@app/source"],
    external: Object.keys({ ...dependencies, ...devDependencies }),
    logLevel: "silent"
  })

/** Runs a program of the README in a process of its own, on our sources; answers what it printed. */
export const run = Effect.fnUntraced(function*(name: string, directory: string, env: Readonly<Record<string, string>>) {
  const outfile = path.join(root, "node_modules/.cache/readme", `${path.basename(name, ".ts")}-${process.pid}.mjs`)
  const platform = yield* FileSystem.FileSystem
  yield* Effect.acquireRelease(
    Effect.promise(() => bundle(name, outfile)),
    () => Effect.ignore(platform.remove(outfile))
  )
  return yield* Command.make(process.execPath, outfile).pipe(
    Command.workingDirectory(directory),
    Command.env(env),
    Command.stderr("inherit"),
    Command.string
  )
})
