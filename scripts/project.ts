import fs from "node:fs"
import path from "node:path"
import ts from "typescript"

/** All TypeScript files below a folder, sorted; none when the folder does not exist. */
export const sourceFilesUnder = (folder: string): ReadonlyArray<string> =>
  fs.existsSync(folder)
    ? fs.readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
      .map((entry) => path.join(entry.parentPath, entry.name))
      .sort()
    : []

/** The compiler options of the directory's tsconfig.json. */
export const loadOptions = (directory: string): ts.CompilerOptions => {
  const { config, error } = ts.readConfigFile(path.join(directory, "tsconfig.json"), (file) => ts.sys.readFile(file))
  if (error) throw new Error(ts.flattenDiagnosticMessageText(error.messageText, "\n"))
  return ts.parseJsonConfigFileContent(config, ts.sys, directory).options
}

/** The files and what they reach, with those options. */
export const loadProgram = (directory: string, files: ReadonlyArray<string>): ts.Program =>
  ts.createProgram(files, loadOptions(directory))
