import { Command } from "@effect/cli"
import { Effect, Option } from "effect"
import { confirm } from "../Confirmation.ts"
import { BillingAccountsDocument, BillingDocument, RemovedDocument } from "../Documents.ts"
import { connected, provideConnection, yes } from "../SharedOptions.ts"
import { fields, table, timestamp } from "../Table.ts"
import { after, desk, limit, org, text, word } from "../TenantOptions.ts"

const accountText = (row: typeof BillingDocument.Type): string =>
  fields([
    ["Organization", row.orgId],
    ["Plan", row.plan],
    ["Customer", row.billingCustomerId],
    ["Status", row.status],
    ["Updated", timestamp(row.updatedAtMs)]
  ])

const billingSet = Command.make("set", {
  org,
  plan: word("plan", "The plan, as your billing names it."),
  customer: text("customer", "What your billing knows the organization as."),
  status: text("status", "active unless given."),
  ...connected
}, ({ customer, org, plan, status }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    const row = yield* client["billing.set"]({
      orgId: org,
      plan,
      billingCustomerId: Option.getOrUndefined(customer),
      status: Option.getOrUndefined(status)
    })
    yield* output.print(BillingDocument, row, accountText)
  })).pipe(Command.withDescription("Make the billing account of an organization, or write it anew."), provideConnection)

const billingShow = Command.make("show", { org, ...connected }, ({ org }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    yield* output.print(BillingDocument, yield* client["billing.get"]({ orgId: org }), accountText)
  })).pipe(Command.withDescription("Show the billing account of an organization."), provideConnection)

const billingList = Command.make("list", { limit, after, ...connected }, ({ after, limit }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    const accounts = yield* client["billing.list"]({ limit, after: Option.getOrUndefined(after) })
    yield* output.print(BillingAccountsDocument, { accounts }, () =>
      accounts.length === 0 ? "No billing accounts." : table(
        ["ORG", "PLAN", "CUSTOMER", "STATUS", "UPDATED"],
        accounts.map((row) => [
          row.orgId,
          row.plan,
          row.billingCustomerId ?? "",
          row.status,
          timestamp(row.updatedAtMs)
        ])
      ))
  })).pipe(Command.withDescription("List the billing accounts by organization."), provideConnection)

const billingRemove = Command.make("remove", { org, yes, ...connected }, ({ org, yes }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    yield* confirm(`Remove the billing account of ${org}?`, yes)
    const answer = yield* client["billing.remove"]({ orgId: org })
    yield* output.print(RemovedDocument, answer, () => `${org} has no billing account any more.`)
  })).pipe(Command.withDescription("Remove the billing account of an organization."), provideConnection)

export const billingCommand = Command.make("billing").pipe(
  Command.withDescription("Billing accounts: what your billing knows organizations as. Nothing is collected here."),
  Command.withSubcommands([billingSet, billingShow, billingList, billingRemove])
)
