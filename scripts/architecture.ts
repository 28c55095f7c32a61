/** The house: which folder under `src/` may import which. `check-architecture.ts` enforces it. */
export interface Subsystem {
  /** Subsystems whose front doors it may import. */
  readonly mayImport: ReadonlyArray<string>
  /** Subsystems whose Tags its layers may require besides: what it may import hands them on. */
  readonly mayRequire?: ReadonlyArray<string>
  /** Packages it may import (`@scope/*` for all of a scope); absent means any. */
  readonly packages?: ReadonlyArray<string>
  /** For a part of a folder that is open to more than the folder: its files, and folders ending in `/`. */
  readonly files?: ReadonlyArray<string>
  /** What siblings may import; absent means `index.ts`. */
  readonly frontDoors?: ReadonlyArray<string>
}

const belowGateway = [
  "model",
  "persistence",
  "journal",
  "audit",
  "access",
  "secrets",
  "cache",
  "outbound",
  "artifacts",
  "sandbox",
  "engine",
  "workflow",
  "control-plane",
  "outbox"
]

export const subsystems: Readonly<Record<string, Subsystem>> = {
  "model": { mayImport: [], packages: ["effect"] },
  "persistence": { mayImport: ["model"] },
  "journal": { mayImport: ["model", "persistence"] },
  "audit": { mayImport: ["model", "persistence"] },
  "access": { mayImport: ["model", "persistence", "audit", "secrets"] },
  "secrets": { mayImport: ["model"] },
  "cache": { mayImport: ["model", "persistence"] },
  "outbound": { mayImport: ["model"] },
  "artifacts": { mayImport: ["model", "persistence", "journal", "secrets", "outbound"] },
  "sandbox": { mayImport: ["model", "persistence", "journal", "audit", "secrets", "outbound"] },
  "engine": { mayImport: ["model", "persistence", "journal", "audit", "cache", "secrets"] },
  "workflow": { mayImport: ["model", "artifacts", "engine", "cache", "sandbox"] },
  "control-plane": { mayImport: ["model", "persistence", "audit", "access", "secrets", "outbound", "engine"] },
  "outbox": { mayImport: ["model", "persistence", "audit", "secrets", "outbound", "control-plane"] },
  "gateway": { mayImport: [...belowGateway, "gateway/contract"] },
  // The schemas of the wire and a client for them: no handler and no server behind them, so that a browser can load them.
  "gateway/contract": {
    mayImport: ["model"],
    packages: ["effect", "@effect/platform", "@effect/rpc"],
    files: ["gateway/contract.ts", "gateway/client.ts", "gateway/contract/"],
    frontDoors: ["gateway/contract.ts", "gateway/client.ts"]
  },
  "console": {
    mayImport: ["model", "gateway/contract"],
    packages: ["effect", "@effect/platform", "@effect/rpc", "@effect-atom/atom-react", "react", "react-dom"]
  },
  "cli": { mayImport: [...belowGateway, "gateway/contract"] },
  "examples": { mayImport: ["workflow"], mayRequire: ["artifacts", "sandbox"], packages: ["effect", "@effect/*"] }
}

export const frontDoorsOf = (name: string): ReadonlyArray<string> =>
  subsystems[name]?.frontDoors ?? [`${name}/index.ts`]

/** The subsystem of a file under `src/`; undefined for one directly there. */
export const subsystemOf = (file: string): string | undefined => {
  const part = Object.entries(subsystems).find(([, { files = [] }]) =>
    files.some((path) => path.endsWith("/") ? file.startsWith(path) : file === path)
  )
  return part?.[0] ?? (file.includes("/") ? file.split("/")[0] : undefined)
}

/** Files directly under `src/`; they may import everything. */
export const rootFiles: ReadonlyArray<string> = ["App.ts", "Gateway.ts", "main.ts", "program.ts", "inside.ts"]

/** Tags of libraries that a layer may require: what the platform supplies, wired once in `App.ts`. */
export const libraryTags: ReadonlyArray<string> = [
  "@effect/platform/CommandExecutor",
  "@effect/platform/FileSystem",
  "@effect/platform/HttpClient",
  "@effect/platform/HttpPlatform",
  "@effect/platform/HttpRouter",
  "@effect/platform/HttpServer",
  "@effect/platform/Path",
  "@effect/platform/Terminal",
  "@effect/rpc/RpcSerialization",
  "@effect/sql/SqlClient",
  "@effect/workflow/WorkflowEngine"
]
