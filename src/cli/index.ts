/**
 * The operator's tool: what `smithers <command>` does, and what the service tells its operator.
 *
 * `WorkflowModules.ts` belongs to the service and stays outside: the commands start without its compiler and engine.
 *
 *     words ──Command──► handler ──► front doors or Connection (gateway client) ──► Output ──► exit code
 */
export * as Cli from "./Cli.ts"
export * as Home from "./Home.ts"
export * as Logs from "./Logs.ts"
export { ServiceInfo } from "./ServiceInfo.ts"
