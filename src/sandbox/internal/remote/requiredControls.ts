import { confinement, type ControlProof } from "../../Proof.ts"
import type { SandboxPolicy } from "../../SandboxPolicy.ts"

const limits = ["memoryLimit", "cpuLimit", "pidsLimit", "diskLimit", "fileSize", "openFiles"] as const

/** What a policy asks for beyond the confinement; a worker says beforehand what of it its runtime has no means for. */
export const asks = (policy: SandboxPolicy): ReadonlyArray<string> => [
  ...limits.filter((control) => policy[control] !== undefined),
  ...(policy.cpuLimit !== undefined && !Number.isInteger(policy.cpuLimit) ? ["cpuLimit.fraction"] : []),
  ...(policy.allowNetwork === false ? [] : ["allowNetwork"]),
  ...(policy.image === undefined ? ["noImage"] : ["image"])
]

/**
 * What a worker says, judged by us: what is asked for is for us to say, and what is missing does not hold. One control may
 * have several rows; each must hold.
 */
export const judged = (rows: ReadonlyArray<ControlProof>, policy: SandboxPolicy): ReadonlyArray<ControlProof> => {
  const required = [...confinement, ...limits.filter((control) => policy[control] !== undefined)]
  const known = new Set(rows.map(({ control }) => control))
  return [
    ...rows.map((row) => ({ ...row, asked: required.includes(row.control) })),
    ...required.filter((control) => !known.has(control)).map((control) => ({
      control,
      asked: true,
      enforced: false,
      evidence: "the worker says nothing of it"
    }))
  ]
}
