/**
 * The workflows that ship with the service. Every `.ts` directly in this folder is a module that the service loads: it
 * exports a `layer`; what it is made of lies in a folder of its own.
 */
import { Layer } from "effect"
import * as ReleaseNotes from "./release-notes/ReleaseNotes.ts"
import * as ReleaseNotesConfig from "./release-notes/ReleaseNotesConfig.ts"

export { ReleaseNotes, ReleaseNotesConfig }

/** Registers all of them, configured from the environment. */
export const layer = Layer.provide(ReleaseNotes.layer, ReleaseNotesConfig.layerConfig)
