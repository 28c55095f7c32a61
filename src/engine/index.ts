export * as Engine from "./Engine.ts"
export * from "./EngineError.ts"
export { DuplicateNode, TaskFailed } from "./TaskFailed.ts"
