// @effect-diagnostics nodeBuiltinImport:off -- O_PATH and O_NOFOLLOW are not among @effect/platform's flags
import { type Cause, Effect, type Scope } from "effect"
import { closeSync, constants, openSync, type PathLike } from "node:fs"

/** open(2): a name for a place in the tree that is neither readable nor writable; the same on all our architectures. */
const pathOnly = 0o10000000
const closeOnExec = 0o2000000

const open = (path: PathLike, flags: number): Effect.Effect<number, Cause.UnknownException, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try(() => openSync(path, flags | closeOnExec)),
    (descriptor) => Effect.sync(() => closeSync(descriptor))
  )

/** Holds on to whatever is at a path, whatever happens to the path. */
export const openPath = (path: PathLike) => open(path, pathOnly)

/** Opens a directory that is not a symbolic link. */
export const openDirectory = (path: PathLike) =>
  open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)

/** Opens what is not a symbolic link for reading, without waiting for the other end of a FIFO. */
export const openFile = (path: PathLike) =>
  open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY)
