import { Effect, Layer } from "effect"
import { Tenancy } from "../engine/index.ts"
import * as ControlPlane from "./ControlPlane.ts"
import { orgNotDeleted } from "./internal/Guards.ts"

/** Lets no run of a deleted organization begin, or go on once it has ended. */
export const layer = Layer.effect(
  Tenancy,
  // Its tables are there.
  Effect.as(ControlPlane.ControlPlane, { stands: orgNotDeleted })
)
