import { Effect, Schema } from "effect"
import { Write } from "../persistence/index.ts"
import { type ChangeError, type ReadError, RecordNotFound } from "./ControlPlaneError.ts"
import { AtMs, Id, page, SecretName, Word } from "./Fields.ts"
import { orgExists } from "./internal/Guards.ts"
import { checked } from "./internal/Input.ts"
import type { Plane } from "./internal/Plane.ts"
import { makeTable } from "./internal/Table.ts"

/** What the hosted service's billing knows an organization as; nothing is collected here. */
export const BillingAccount = Schema.Struct({
  orgId: Id,
  plan: Word,
  billingCustomerId: Schema.NullOr(Schema.String),
  status: Word,
  updatedAtMs: AtMs
})
export type BillingAccount = typeof BillingAccount.Type

const Given = Schema.Struct({
  orgId: Id,
  plan: Word,
  billingCustomerId: Schema.optional(Schema.NullOr(SecretName)),
  /** `active` unless given. */
  status: Schema.optional(Word)
})
const One = Schema.Struct({ orgId: Id })
const Page = Schema.Struct(page)

const checkGiven = checked(Given)
const checkOne = checked(One)
const checkPage = checked(Page)

export interface BillingAccountMethods {
  /** Makes the organization's account, or writes it anew. */
  readonly upsertBillingAccount: (input: typeof Given.Encoded) => Effect.Effect<BillingAccount, ChangeError>
  readonly getBillingAccount: (
    input: typeof One.Encoded
  ) => Effect.Effect<BillingAccount, RecordNotFound | ReadError>
  /** Of all organizations; by organization, after the id `after`. */
  readonly listBillingAccounts: (
    input?: typeof Page.Encoded
  ) => Effect.Effect<ReadonlyArray<BillingAccount>, ReadError>
  readonly deleteBillingAccount: (input: typeof One.Encoded) => Effect.Effect<void, ChangeError>
}

export const make = ({ change, persistence }: Plane): BillingAccountMethods => {
  const table = makeTable(persistence, "_smithers_cp_billing_accounts", BillingAccount, { key: ["orgId"] })
  const about = (action: string, orgId: string) => ({ orgId, action, targetType: "billing_account", targetId: orgId })
  const notFound = (orgId: string) => new RecordNotFound({ kind: "billing-account", orgId, id: orgId })

  return {
    upsertBillingAccount: Effect.fn("ControlPlane.upsertBillingAccount")(function*(input) {
      const { billingCustomerId = null, orgId, plan, status = "active" } = yield* checkGiven(input)
      const detail = { plan, status, billingCustomerId }
      return yield* change({ ...about("billing.account.upsert", orgId), detail }, (updatedAtMs) => {
        const account = { orgId, plan, billingCustomerId, status, updatedAtMs }
        return Write.all([orgExists(orgId), table.upsert(account)]).pipe(Write.map(() => account))
      })
    }),
    getBillingAccount: Effect.fn("ControlPlane.getBillingAccount")(function*(input) {
      const { orgId } = yield* checkOne(input)
      const [account] = yield* table.select("WHERE org_id = ?", [orgId])
      return account ?? (yield* notFound(orgId))
    }),
    listBillingAccounts: Effect.fn("ControlPlane.listBillingAccounts")(function*(input = {}) {
      const { after = "", limit = 50 } = yield* checkPage(input)
      return yield* table.select("WHERE org_id > ? ORDER BY org_id LIMIT ?", [after, limit])
    }),
    deleteBillingAccount: Effect.fn("ControlPlane.deleteBillingAccount")(function*(input) {
      const { orgId } = yield* checkOne(input)
      yield* change(
        about("billing.account.delete", orgId),
        () => Write.guard("DELETE FROM _smithers_cp_billing_accounts WHERE org_id = ?", [orgId], () => notFound(orgId))
      )
    })
  }
}
