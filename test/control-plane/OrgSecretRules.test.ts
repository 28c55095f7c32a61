import { assert, it } from "@effect/vitest"
import { Arbitrary, ConfigProvider, Effect, Either, FastCheck as fc, Schema } from "effect"
import path from "node:path"
import { OrgSecretsConfig } from "../../src/control-plane/index.ts"
import { parse, permit, type Rule } from "../../src/control-plane/OrgSecretRules.ts"

const configured = (text: string | undefined) =>
  OrgSecretsConfig.OrgSecretsConfig.pipe(
    Effect.map(({ rules }) => rules),
    Effect.provide(OrgSecretsConfig.layerConfig),
    Effect.withConfigProvider(
      ConfigProvider.fromMap(new Map(text === undefined ? [] : [["SMITHERS_ORG_SECRETS", text]]), { pathDelim: "_" })
    )
  )

const rulesOf = (text: string) => Effect.orDie(configured(text))

/** Whether a run of `acme` in its project `app` may have it. */
const lets = (rules: ReadonlyArray<Rule>, text: string, orgId = "acme", projectId: string | null = "app") => {
  const colon = text.indexOf(":")
  return permit(rules, { orgId, projectId }, { provider: text.slice(0, colon), name: text.slice(colon + 1) })
}

it.effect("nothing is let through while nothing is set", () =>
  Effect.gen(function*() {
    for (const given of [undefined, ""]) {
      const rules = yield* configured(given)
      assert.deepStrictEqual(rules, [])
      assert.isFalse(lets(rules, "env:PATH"))
    }
  }))

it.effect("an organization reaches what begins with its own id, and no other", () =>
  Effect.gen(function*() {
    const rules = yield* rulesOf(
      "vault:secret/{org}/,file:/run/secrets/{org}/{project}/, env:ORG_{org}, arn:arn:aws:secretsmanager:eu:{org}/"
    )
    const through = [
      "vault:secret/acme/deploy",
      "vault:secret/acme/a/b@c=d+e:f",
      "file:/run/secrets/acme/app/token",
      "env:ORG_acme",
      "arn:arn:aws:secretsmanager:eu:acme/x-AbCdEf"
    ]
    const refused = [
      "vault:secret/acme",
      "vault:secret/acme2/deploy",
      "vault:secret/acme:2/deploy",
      "vault:secret/other/deploy",
      "vault:secret/acme/../other/deploy",
      "vault:secret/acme/..",
      "vault:secret/acme/./x",
      "vault:secret/acme/%2e%2e/other",
      "vault:secret/acme/..%2fother",
      "vault:secret/acme/\\..\\other",
      "vault:secret/acme/x?version=1",
      "vault:secret/acme/x#y",
      "vault:secret/acme/$(id)",
      "vault:secret/acme/{org}",
      "vault:secret/acme/x y",
      "vault:secret/acme/x\n",
      "vault:secret/acme/\u2025/other",
      "vault:Secret/acme/deploy",
      "vault:secret//acme/deploy",
      "vault:",
      "file:/run/secrets/acme/web/token",
      "file:/run/secrets/acme/app2/token",
      "file:/run/secrets/acme/app",
      "file:/run/secrets/acme/app/../web/token",
      "file:/etc/shadow",
      "env:ORG_acme_2",
      "env:ORG_acme2",
      "env:ORG_acme-2",
      "env:ORG_",
      "env:SMITHERS_ADMIN_TOKEN",
      "cmd:secret/acme/deploy"
    ]
    assert.deepStrictEqual(through.filter((each) => !lets(rules, each)), [])
    assert.deepStrictEqual(refused.filter((each) => lets(rules, each)), [])
    // What is said of projects says nothing of a run that is in none.
    assert.isFalse(lets(rules, "file:/run/secrets/acme/app/token", "acme", null))
    assert.isTrue(lets(rules, "vault:secret/acme/deploy", "acme", null))
  }))

it.effect("an empty prefix is everything of the provider, for who writes it so", () =>
  Effect.gen(function*() {
    const rules = yield* rulesOf("vault:")
    assert.isTrue(lets(rules, "vault:vault://deploy"))
    assert.isFalse(lets(rules, "vault:a/../b"))
    assert.isFalse(lets(rules, "env:HOME"))
  }))

it.effect("a rule by which one could reach another's is refused, with what is wrong", () =>
  Effect.gen(function*() {
    const problem = (text: string) => Effect.map(Effect.flip(configured(text)), String)
    const cases = {
      "vault": "the id of a provider",
      ":x": "the id of a provider",
      "Vault:x": "the id of a provider",
      "vault:a,": "the id of a provider",
      "org:x": "must not point to org",
      "vault:a b": "visible ASCII",
      "vault:a/../{org}/": "without ..",
      "vault:{org}_": "that no id has",
      "vault:{org}:x": "that no id has",
      "env:ORG_{org}_TOKEN": "that no id has",
      "vault:{org}{project}": "that no id has",
      "vault:{org}/{project}-x": "that no id has",
      "vault:{org}/{org}/": "no braces",
      "vault:{name}/": "no braces",
      "vault:{project}/": "{org} before {project}",
      "vault:{project}/{org}/": "{org} before {project}",
      "vault:{org}/,vault:shared/{org}/": "overlap",
      "vault:shared/,vault:{org}/": "overlap",
      "vault:a/,vault:a/{org}/": "overlap",
      "vault:,vault:a/{org}/": "overlap"
    }
    for (const [text, part] of Object.entries(cases)) {
      const said = yield* problem(text)
      assert.include(said, part, text)
      assert.include(said, "SMITHERS_ORG_SECRETS")
    }
    for (const text of ["vault:{org}/a/,vault:{org}/b/,file:/x/{org}/", "vault:a/,vault:b/{org}", "vault:{org}.x"]) {
      assert.isNotEmpty(yield* rulesOf(text))
    }
  }))

const Id = Schema.Literal("a", "b", "ab", "a-b", "a_b", "a:b", "-", "x-a")
const Tenant = Schema.Struct({ orgId: Id, projectId: Id })
const Prefix = Schema.TemplateLiteral(
  Schema.Literal("", "", "x", "x-", "x/", "a/"),
  Schema.Literal("{org}", "{org}", ""),
  Schema.Literal("", "/", "/", ".", "-", ":"),
  Schema.Literal("{project}", "", ""),
  Schema.Literal("", "/", "/", "b", "_")
)
const Prefixes = Schema.Array(Prefix).pipe(Schema.minItems(1), Schema.maxItems(3))
const Tail = Schema.Array(Schema.Literal("a", "b", "-", ":", "/", ".", "..", "../", "/..", "%2e", "@", "\\"))
  .pipe(Schema.maxItems(4))

it("whatever rules are accepted: nothing is within those with {org} for two organizations, and nothing leads out of them", () => {
  let through = 0
  let accepted = 0
  const property = fc.property(
    Arbitrary.make(Prefixes),
    Arbitrary.make(Tenant),
    Arbitrary.make(Tenant),
    Arbitrary.make(Tail),
    (prefixes, own, foreign, tail) => {
      const found = parse(prefixes.map((prefix) => `p:${prefix}`).join())
      if (Either.isLeft(found)) return
      accepted++
      for (const { prefix } of found.right.filter(({ prefix }) => prefix.includes("{org}"))) {
        const begun = prefix.replace("{org}", own.orgId).replace("{project}", own.projectId)
        const ref = { provider: "p", name: begun + tail.join("") }
        if (!permit(found.right, own, ref)) continue
        through++
        const inside = path.posix.normalize(`/${ref.name}`).startsWith(path.posix.normalize(`/${begun}`))
        assert.isTrue(inside, `${begun} ${ref.name}`)
        if (own.orgId !== foreign.orgId) assert.isFalse(permit(found.right, foreign, ref), ref.name)
      }
    }
  )
  fc.assert(property, { numRuns: 10_000 })
  assert.isAbove(Math.min(accepted, through), 300)
})
