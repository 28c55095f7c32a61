/** The house: which folder under `src/` may import which. `check-architecture.ts` enforces it. */
export interface Subsystem {
  /** Siblings whose front door (`index.ts`) it may import. */
  readonly mayImport: ReadonlyArray<string>
  /** Single files of siblings that it may import although the front door is closed to it. */
  readonly mayImportFiles?: ReadonlyArray<string>
  /** Packages it may import (`@scope/*` for all of a scope); absent means any. */
  readonly packages?: ReadonlyArray<string>
}

/** The schemas of the wire, without a handler or a server behind them. */
const gatewayContract = ["gateway/contract.ts"]

const belowGateway = [
  "model",
  "persistence",
  "journal",
  "audit",
  "access",
  "secrets",
  "cache",
  "sandbox",
  "engine",
  "workflow",
  "control-plane"
]

export const subsystems: Readonly<Record<string, Subsystem>> = {
  "model": { mayImport: [], packages: ["effect"] },
  "persistence": { mayImport: ["model"] },
  "journal": { mayImport: ["model", "persistence"] },
  "audit": { mayImport: ["model", "persistence"] },
  "access": { mayImport: ["model", "persistence", "audit"] },
  "secrets": { mayImport: ["model"] },
  "cache": { mayImport: ["model", "persistence"] },
  "sandbox": { mayImport: ["model", "persistence", "journal", "audit", "secrets"] },
  "engine": { mayImport: ["model", "persistence", "journal", "audit", "cache", "secrets"] },
  "workflow": { mayImport: ["model", "engine", "cache", "sandbox"] },
  "control-plane": { mayImport: ["model", "persistence", "audit", "engine"] },
  "gateway": { mayImport: belowGateway },
  "console": {
    mayImport: ["model"],
    mayImportFiles: gatewayContract,
    packages: ["effect", "@effect/platform", "@effect/rpc", "@effect-atom/atom-react", "react", "react-dom"]
  },
  "cli": { mayImport: belowGateway, mayImportFiles: gatewayContract },
  "examples": { mayImport: ["workflow"], packages: ["effect", "@effect/*"] }
}

/** Files directly under `src/`; they may import everything. */
export const rootFiles: ReadonlyArray<string> = ["App.ts", "main.ts"]

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
