// Packages of their own that hand on a part of this one, each ready for `npm publish` of its folder.
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/** The parts that have one; whoever imports `@<name>/<part>` gets what `<name>/<part>` has. */
const parts = ["control-plane"]

/** Writes `packages/<part>/` into the built folder. @param {string} root @param {string} built */
export const writePackages = (root, built) => {
  for (const part of parts.filter((name) => existsSync(join(built, name, "index.js")))) {
    const { engines, license, name, version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
    const folder = join(built, "packages", part)
    mkdirSync(folder, { recursive: true })
    const manifest = {
      name: `@${name}/${part}`,
      version,
      description: `${name}/${part}, as a package of its own.`,
      license,
      type: "module",
      engines,
      exports: { ".": { types: "./index.d.ts", default: "./index.js" } },
      files: ["index.js", "index.d.ts"],
      // Of another version it would be another store on the same tables.
      dependencies: { [name]: version },
      publishConfig: { access: "public" }
    }
    writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, undefined, 2)}\n`)
    for (const file of ["index.js", "index.d.ts"]) {
      writeFileSync(join(folder, file), `export * from "${name}/${part}"\n`)
    }
    const licenseFile = join(root, "LICENSE")
    if (existsSync(licenseFile)) copyFileSync(licenseFile, join(folder, "LICENSE"))
  }
}
