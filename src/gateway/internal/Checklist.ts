import { Clock, Effect } from "effect"
import { Access, type TokenGrant } from "../../access/index.ts"
import { Checkpoints } from "../../audit/index.ts"
import { Bounds } from "../../model/index.ts"
import * as DatabaseChecks from "./checklist/DatabaseChecks.ts"
import { grantFindings } from "./checklist/GrantChecks.ts"
import * as OperationChecks from "./checklist/OperationChecks.ts"
import * as ReleaseChecks from "./checklist/ReleaseChecks.ts"

/**
 * The release checklist and the operating rules of the seeds, each answered with evidence, one after the other. A check
 * changes nothing; what other processes left for the audit (backups, drills, scans) is taken up first, unsigned.
 */
export const makeChecklist = Effect.gen(function*() {
  const access = yield* Access.Access
  const checkpoints = yield* Checkpoints.Checkpoints
  const release = yield* ReleaseChecks.make
  const database = yield* DatabaseChecks.make
  const operation = yield* OperationChecks.make

  const grants = Effect.gen(function*() {
    const all: Array<TokenGrant> = []
    for (;;) {
      const page = yield* access.list({ afterTokenId: all.at(-1)?.tokenId, limit: Bounds.pageRows })
      all.push(...page)
      if (page.length < Bounds.pageRows) return grantFindings(all, yield* Clock.currentTimeMillis)
    }
  })

  const findings = Effect.gen(function*() {
    yield* checkpoints.collect
    return [
      ...yield* Effect.all(release),
      ...yield* Effect.all(database),
      ...yield* grants,
      ...(yield* Effect.all(operation)).flat()
    ]
  })
  return { findings }
})
