import { assert, it } from "@effect/vitest"
import { Effect, Schema, TestClock } from "effect"
import { Live, plane, rows } from "./support.ts"

// What a deletion leaves, row by row, beside a model that knows nothing of foreign keys.

const dayMs = 86_400_000
const quarterMs = dayMs / 96

const few = (most: number) => Schema.Int.pipe(Schema.between(0, most))

const Used = Schema.Struct({
  metric: Schema.Literal("m", "n"),
  quantity: few(1_000),
  at: Schema.Int.pipe(Schema.between(0, 3 * dayMs))
})

const Tree = Schema.Struct({
  /** Members of each team. */
  teams: Schema.Array(few(3)).pipe(Schema.maxItems(3)),
  projects: Schema.Array(Schema.Struct({
    /** The first so many teams have a role in it. */
    grants: few(3),
    refs: few(2),
    limits: Schema.Array(Schema.Literal("daily", "weekly", "monthly")).pipe(Schema.maxItems(3)),
    reservations: few(2),
    used: Schema.Array(Used).pipe(Schema.maxItems(4)),
    deleted: Schema.Boolean
  })).pipe(Schema.maxItems(3)),
  used: Schema.Array(Used).pipe(Schema.maxItems(3)),
  refs: few(2),
  limited: Schema.Boolean,
  reservations: few(2),
  providers: few(2),
  billed: Schema.Boolean,
  /** This one of its teams is deleted. */
  deletedTeam: few(4)
})
type Tree = typeof Tree.Type

/** What identifies a row of each table, the organization first. */
const columns = {
  orgs: ["org_id"],
  teams: ["org_id", "team_id"],
  team_members: ["org_id", "team_id", "user_id"],
  projects: ["org_id", "project_id"],
  project_teams: ["org_id", "project_id", "team_id"],
  billing_accounts: ["org_id", "plan"],
  identity_providers: ["org_id", "provider_id"],
  secret_refs: ["org_id", "project_id", "name"],
  usage_limits: ["org_id", "project_id", "metric", "period"],
  usage_reservations: ["org_id", "reservation_id", "project_id", "quantity"],
  usage_events: ["org_id", "project_id", "metric", "quantity", "observed_at_ms"],
  usage_series: ["org_id", "project_id", "metric"],
  audit_events: ["org_id", "action", "target_id"]
} as const
type Table = keyof typeof columns
type Row = ReadonlyArray<string | number | null>

/** What a deletion calls the rows of a table. */
const counted: { readonly [T in Exclude<Table, "orgs">]: string } = {
  teams: "teams",
  team_members: "teamMembers",
  projects: "projects",
  project_teams: "projectTeams",
  billing_accounts: "billingAccounts",
  identity_providers: "identityProviders",
  secret_refs: "secretRefs",
  usage_limits: "usageLimits",
  usage_reservations: "usageReservations",
  usage_events: "usageEvents",
  usage_series: "usageSeries",
  audit_events: "auditEvents"
}

const tables = Object.keys(columns) as ReadonlyArray<Table>
const sorted = (found: ReadonlyArray<Row>): ReadonlyArray<string> => found.map((row) => JSON.stringify(row)).sort()

class Model {
  readonly rows = new Map<Table, Array<Row>>(tables.map((table) => [table, []]))

  add(table: Table, ...row: Row): void {
    this.rows.get(table)!.push(row)
  }
  /** A series comes to be with the first event. */
  addOnce(table: Table, ...row: Row): void {
    if (!sorted(this.rows.get(table)!).includes(JSON.stringify(row))) this.add(table, ...row)
  }
  remove(table: Table, which: (row: Row) => boolean): number {
    const before = this.rows.get(table)!
    this.rows.set(table, before.filter((row) => !which(row)))
    return before.length - this.rows.get(table)!.length
  }
  /** The sums that the events make, computed from them alone. */
  rollups(): ReadonlyArray<string> {
    const sums = new Map<string, readonly [quantity: number, events: number]>()
    for (const [org, project, metric, quantity, at] of this.rows.get("usage_events")!) {
      for (const key of project === null ? [null] : [null, project]) {
        for (const [level, length] of [[0, Infinity], [1, dayMs], [2, quarterMs]] as const) {
          const name = JSON.stringify([org, key, metric, level, Math.floor(Number(at) / length)])
          const [sum, events] = sums.get(name) ?? [0, 0]
          sums.set(name, [sum + Number(quantity), events + 1])
        }
      }
    }
    return [...sums].map(([name, sum]) => JSON.stringify([...(JSON.parse(name) as Row), ...sum])).sort()
  }
}

const stored = Effect.gen(function*() {
  const found = yield* Effect.forEach(tables, (table) =>
    Effect.map(
      rows(`SELECT ${columns[table].join(", ")} FROM _smithers_cp_${table}`),
      (all) => [table, sorted(all.map((row) => Object.values(row) as Row))] as const
    ))
  const rollups = yield* rows(`SELECT s.org_id, s.project_id, s.metric, r.level, r.bucket, r.quantity, r.events
    FROM _smithers_cp_usage_rollups AS r LEFT JOIN _smithers_cp_usage_series AS s USING (series_id)`)
  return { ...Object.fromEntries(found), rollups: sorted(rollups.map((row) => Object.values(row) as Row)) }
})

const expected = (model: Model) => ({
  ...Object.fromEntries(tables.map((table) => [table, sorted(model.rows.get(table)!)])),
  rollups: model.rollups()
})

/** Makes the tree, and tells the model. */
const grow = (orgId: string, tree: Tree, model: Model) =>
  Effect.gen(function*() {
    const cp = yield* plane
    const did = (action: string, target: string) => model.add("audit_events", orgId, action, target)
    const use = (projectId: string | null, used: Tree["used"]) =>
      Effect.forEach(used, ({ at, metric, quantity }) => {
        model.add("usage_events", orgId, projectId, metric, quantity, at)
        for (const key of projectId === null ? [null] : [null, projectId]) {
          model.addOnce("usage_series", orgId, key, metric)
        }
        return cp.recordUsage({ orgId, projectId, metric, quantity, observedAtMs: at })
      })
    const keep = (projectId: string | null, refs: number, reservations: number) =>
      Effect.gen(function*() {
        for (let i = 0; i < refs; i++) {
          yield* cp.putSecretRef({ orgId, projectId, name: `s${i}`, provider: "vault", ref: "vault://s" })
          model.add("secret_refs", orgId, projectId, `s${i}`)
          did("secret_ref.upsert", `s${i}`)
        }
        for (let i = 0; i < reservations; i++) {
          const reservationId = `${projectId ?? "org"}-${i}`
          yield* cp.reserveUsage({ orgId, projectId, reservationId, metric: "r", quantity: i })
          model.add("usage_reservations", orgId, reservationId, projectId, i)
        }
      })

    yield* cp.createOrg({ orgId, slug: orgId, name: orgId })
    model.add("orgs", orgId)
    did("org.create", orgId)
    const teams = tree.teams.map((_, i) => `t${i}`)
    for (const [i, members] of tree.teams.entries()) {
      const teamId = `t${i}`
      yield* cp.createTeam({ orgId, teamId, slug: teamId, name: "T" })
      model.add("teams", orgId, teamId)
      did("team.create", teamId)
      for (let u = 0; u < members; u++) {
        yield* cp.addTeamMember({ orgId, teamId, userId: `u${u}`, role: "member" })
        model.add("team_members", orgId, teamId, `u${u}`)
        did("team.member.upsert", teamId)
      }
    }
    for (const [i, project] of tree.projects.entries()) {
      const projectId = `p${i}`
      yield* cp.createProject({ orgId, projectId, slug: projectId, name: "P" })
      model.add("projects", orgId, projectId)
      did("project.create", projectId)
      for (const teamId of teams.slice(0, project.grants)) {
        yield* cp.addProjectTeam({ orgId, projectId, teamId, role: "viewer" })
        model.add("project_teams", orgId, projectId, teamId)
        did("project.team.upsert", projectId)
      }
      for (const period of project.limits) {
        yield* cp.setUsageLimit({ orgId, projectId, metric: "m", period, limitQuantity: 1_000_000 })
        model.addOnce("usage_limits", orgId, projectId, "m", period)
        did("usage_limit.upsert", projectId)
      }
      yield* keep(projectId, project.refs, project.reservations)
      yield* use(projectId, project.used)
    }
    yield* use(null, tree.used)
    yield* keep(null, tree.refs, tree.reservations)
    if (tree.limited) {
      yield* cp.setUsageLimit({ orgId, metric: "m", limitQuantity: 1_000_000 })
      model.add("usage_limits", orgId, null, "m", "monthly")
      did("usage_limit.upsert", orgId)
    }
    for (let i = 0; i < tree.providers; i++) {
      yield* cp.upsertIdentityProvider({ orgId, providerId: `i${i}`, type: "saml", issuer: "urn:x" })
      model.add("identity_providers", orgId, `i${i}`)
      did("identity_provider.upsert", `i${i}`)
    }
    if (tree.billed) {
      yield* cp.upsertBillingAccount({ orgId, plan: "free" })
      model.add("billing_accounts", orgId, "free")
      did("billing.account.upsert", orgId)
    }

    for (const [i, { deleted }] of tree.projects.entries()) {
      if (!deleted) continue
      const projectId = `p${i}`
      const of = (row: Row) => row[0] === orgId && row[1] === projectId
      model.remove("projects", of)
      const gone = {
        projectTeams: model.remove("project_teams", of),
        usageLimits: model.remove("usage_limits", of),
        secretRefs: model.remove("secret_refs", of)
      }
      did("project.delete", projectId)
      assert.deepStrictEqual<unknown>((yield* cp.deleteProject({ orgId, projectId })).deleted, gone)
    }
    const teamId = teams[tree.deletedTeam]
    if (teamId !== undefined) {
      model.remove("teams", (row) => row[0] === orgId && row[1] === teamId)
      const gone = {
        teamMembers: model.remove("team_members", (row) => row[0] === orgId && row[1] === teamId),
        projectTeams: model.remove("project_teams", (row) => row[0] === orgId && row[2] === teamId)
      }
      did("team.delete", teamId)
      assert.deepStrictEqual<unknown>((yield* cp.deleteTeam({ orgId, teamId })).deleted, gone)
    }
  })

it.effect.prop(
  "a deletion leaves in every table exactly the rows that the model leaves, and counts those that it took",
  [Schema.Array(Tree).pipe(Schema.minItems(1), Schema.maxItems(3)), few(2)],
  ([trees, which]) =>
    Effect.gen(function*() {
      const cp = yield* plane
      const model = new Model()
      yield* TestClock.setTime(4 * dayMs)
      for (const [i, tree] of trees.entries()) yield* grow(`o${i}`, tree, model)
      assert.deepStrictEqual<unknown>(yield* stored, expected(model))

      const orgId = `o${which % trees.length}`
      const gone = Object.fromEntries(
        Object.entries(counted).map(([table, name]) => [
          name,
          model.remove(table as Table, ([owner]) => owner === orgId)
        ])
      )
      model.remove("orgs", ([owner]) => owner === orgId)
      const { deleted } = yield* cp.deleteOrg({ orgId })
      assert.deepStrictEqual<unknown>(deleted, gone)
      assert.deepStrictEqual<unknown>(yield* stored, expected(model))
      for (const { orgId } of yield* cp.listOrgs()) {
        assert.isTrue((yield* cp.verifyOrgAudit({ orgId })).intact)
      }
    }).pipe(Effect.provide(Live)),
  { fastCheck: { numRuns: 15 }, timeout: 120_000 }
)
