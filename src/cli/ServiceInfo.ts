import { Context } from "effect"
import type { ServiceDocument } from "./Documents.ts"

/** The running service; as long as its layer lives, it runs. */
export class ServiceInfo extends Context.Tag("smithers-orchestrator/cli/ServiceInfo")<
  ServiceInfo,
  typeof ServiceDocument.Type
>() {}
