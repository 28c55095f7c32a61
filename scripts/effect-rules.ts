/** What `check:effect` asks of which files, as data. */

/** Files at the edge of the Effect world, and the rules that do not hold there. */
export interface Edge {
  /** A file, or a folder when it ends in `/`. */
  readonly path: string
  readonly exempt: "all" | ReadonlyArray<string>
  readonly reason: string
}

export const edges: ReadonlyArray<Edge> = [
  { path: "src/main.ts", exempt: ["processEnv"], reason: "it loads the program, before there is an Effect" },
  { path: "src/program.ts", exempt: ["effectRun"], reason: "the one place where the program is run" },
  { path: "src/inside.ts", exempt: ["effectRun"], reason: "the program of a sandbox that executes a workflow" },
  { path: "src/console/", exempt: "all", reason: "browser code: React calls it, no Effect runtime surrounds it" },
  {
    path: "src/control-plane/ControlPlaneStore.ts",
    exempt: ["effectRun"],
    reason: "a synchronous façade for programs without Effect, as the seed has it"
  },
  {
    path: "src/control-plane/internal/SyncPersistence.ts",
    exempt: ["tryCatch"],
    reason: "a transaction is one synchronous section on the driver, which throws"
  },
  {
    path: "src/Gateway.ts",
    exempt: ["effectRun", "promise", "tryCatch"],
    reason: "the seed gives it a promise façade"
  },
  {
    path: "src/persistence/",
    exempt: ["withTransaction"],
    reason: "the group-commit writer is the only one who opens a transaction"
  },
  {
    path: "src/persistence/internal/Writer.ts",
    exempt: ["tryCatch"],
    reason: "a batch is one synchronous section on the driver, which throws"
  },
  {
    path: "test/",
    exempt: [
      "tryCatch",
      "promise",
      "withTransaction",
      "nodeBuiltinImport",
      "preferSchemaOverJson",
      "processEnv",
      "processEnvInEffect",
      "globalDate",
      "globalDateInEffect",
      "globalRandom",
      "globalRandomInEffect",
      "globalConsole",
      "globalConsoleInEffect",
      "strictEffectProvide"
    ],
    reason: "tests drive processes, sockets and files from the outside, and provide layers themselves"
  },
  ...["engine", "examples", "outbox", "persistence", "sandbox/bundle", "sandbox/runtime"].map((folder) => ({
    path: `test/${folder}/programs/`,
    exempt: ["effectRun"],
    reason: "a program of its own, which a test starts and kills"
  })),
  {
    path: "test/scripts/",
    exempt: "all",
    reason: "tests of development tools, which are plain functions"
  }
]

export const isExempt = (file: string, rule: string): boolean =>
  edges.some(({ exempt, path }) =>
    (path.endsWith("/") ? file.startsWith(path) : file === path) && (exempt === "all" || exempt.includes(rule))
  )
