/**
 * **Artifacts**: what runs leave for people and other programs.
 *
 *     (org or operator, run, name) ─► checked ─► files in the home, or objects in an S3-compatible store
 *                                                put: whole, with its SHA-256 ── get: compared with it
 *
 * They go with their run: its removal is written down in the commit that removes it (`Removals`), and carried out after it
 * (`RunArtifacts`).
 */
export { ArtifactFailed, ArtifactRefused } from "./ArtifactError.ts"
export type { ArtifactKey, Owner } from "./ArtifactKey.ts"
export * as ArtifactsConfig from "./ArtifactsConfig.ts"
export * as ArtifactStore from "./ArtifactStore.ts"
export * as FileStore from "./FileStore.ts"
export * as Removals from "./Removals.ts"
export * as RunArtifacts from "./RunArtifacts.ts"
export * as S3Store from "./S3Store.ts"
