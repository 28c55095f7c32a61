export { isSensitive, sensitive } from "../model/index.ts"
