import * as Tests from "@effect/vitest"

// `layer(…)(…)` of @effect/vitest puts its own methods onto the one `it` that all files of a process share, and there they
// stay: a later file would run in the runtime of an earlier one. Each file begins with the ordinary ones.
const { effect, flakyTest, it, layer, live, prop, scoped, scopedLive } = Tests
Object.assign(it, { effect, flakyTest, layer, live, prop, scoped, scopedLive })
