/**
 * The two documents that this product is built after, sentence by sentence: what each of them promises, and the tests that
 * prove it.
 */
export interface Proof {
  readonly file: string
  /** The title of the test; of a table of cases the title of one of them. */
  readonly test: string
}

export type Line =
  /** A promise of ours, in the words of the document. */
  | { readonly says: string; readonly proofs: ReadonlyArray<Proof> }
  /** A promise whose part of the product is not there yet, and why. */
  | { readonly says: string; readonly later: string }
  /** What others do: an operator, an author, a hosted service. */
  | { readonly says: string; readonly others: string }

export interface Section {
  readonly heading: string
  readonly lines: ReadonlyArray<Line>
}

export interface Seed {
  readonly title: string
  /** Every heading of the document, in its order. */
  readonly headings: ReadonlyArray<string>
  readonly sections: ReadonlyArray<Section>
}

const promise = (says: string, ...proofs: ReadonlyArray<readonly [file: string, test: string]>): Line => ({
  says,
  proofs: proofs.map(([file, test]) => ({ file: `test/${file}.test.ts`, test }))
})
const later = (says: string, why: string): Line => ({ says, later: why })
const others = (says: string, who: string): Line => ({ says, others: who })

const gate = ["scripts/Gate", "verify runs every check that the seeds name, and CI runs verify"] as const

const production: Seed = {
  title: "Production",
  headings: [
    "Production",
    "Required Checks",
    "Persistence",
    "Access Control",
    "Execution Boundary",
    "Secrets",
    "Cache Policy",
    "Audit Trail",
    "Release Checklist"
  ],
  sections: [
    {
      heading: "Production",
      lines: [
        promise(
          "Smithers can run long-lived agent workflows",
          [
            "engine/Crash",
            "Guarantee 1: no kill -9 repeats an acknowledged task, loses an event, or keeps the run from its end"
          ],
          ["workflow/Approval", "a run that waits for a person is a row: no fiber, no memory"]
        ),
        others(
          "Treat the Gateway, database, workflow modules, and sandbox workers as one operational boundary",
          "The operator does; `smithers doctor` goes through all four."
        )
      ]
    },
    {
      heading: "Required Checks",
      lines: [
        promise("pnpm check:effect", gate, [
          "scripts/EffectRules",
          "reports what the language service finds, with file, line and rule"
        ]),
        promise("pnpm check:deps", gate, [
          "scripts/Deps",
          "reports what is unused and what is not declared, with file and line"
        ]),
        promise("pnpm check:architecture", gate, [
          "scripts/Architecture",
          "lets a subsystem import the front door of one below it"
        ]),
        promise("pnpm -r typecheck", gate),
        promise("pnpm test", gate),
        promise("The default CI workflow runs the same test gate on pull requests and pushes to main", gate)
      ]
    },
    {
      heading: "Persistence",
      lines: [
        promise("one SQLite database file per deployment", [
          "persistence/Guards",
          "everything is stored in the home and for its owner only"
        ], [
          "persistence/Guards",
          "a second service on the same home is refused, naming the process that has it, and may start when it is free"
        ]),
        promise("place it on durable storage", [
          "persistence/NetworkFileSystem",
          "a home on a network file system is refused before anything is written to it"
        ]),
        promise("The internal tables are created and migrated idempotently on startup", [
          "persistence/Migrations",
          "migrations apply once, however often they are asked for"
        ]),
        promise("Back up the database file and its WAL files together", [
          "persistence/Backup",
          "a backup under a writer of another process ends, is consistent, and holds all that was acknowledged"
        ], ["persistence/Backup", "a backup is one self-contained file with the same rows, under the same row ids"]),
        promise("Keep PRAGMA foreign_keys = ON; Smithers enables it during schema setup", [
          "persistence/Guards",
          "a pragma that does not take refuses the start"
        ], [
          "gateway/Doctor",
          "names what is wrong with the database, the modules, the sandboxes and the approvals of a service"
        ]),
        promise("uses referential checks for core run artifacts", [
          "journal/Journal",
          "an event of a run that does not exist is refused"
        ]),
        promise("Keep run IDs stable across resume attempts", [
          "engine/Replay",
          "a run that is resumed shows its resumes in the journal, numbered on"
        ], ["engine/Lifecycle", "Guarantee 2: launching an id again is a conflict and changes nothing"]),
        promise("clients should resume from the last seen seq", [
          "gateway/RunStream",
          "a stream that loses its connection goes on after the last event it handed out"
        ], [
          "journal/Journal",
          "Guarantee 3: numbers go on after a restart, and a reader that comes back with its last seq misses nothing"
        ]),
        promise("Delete whole runs through supported administrative paths", [
          "engine/Lifecycle",
          "deleting a run leaves no row of it in any table, and an audit row that says who did it"
        ]),
        promise("so dependent frames, node diffs, and audit rows stay consistent", [
          "sandbox/Housekeeping",
          "the folders and contents of a run that is deleted go, those of other runs and of others stay"
        ])
      ]
    },
    {
      heading: "Access Control",
      lines: [
        promise("Expose the Gateway only behind TLS", [
          "gateway/Listener",
          "a host that others can reach is refused without TLS, whichever way it is written"
        ]),
        promise("Use scoped bearer grants for automation", [
          "access/Access",
          "a grant that names methods reaches these methods only"
        ]),
        promise("short TTLs for human-triggered actions", [
          "access/Access",
          "a token works until the millisecond before it expires, and not from then on"
        ]),
        promise("Run dashboard: run:read, approval:read", [
          "gateway/Scopes",
          "run:read reaches exactly what it implies"
        ]),
        promise("Launch automation: run:read, run:write", [
          "gateway/Scopes",
          "run:write reaches exactly what it implies"
        ]),
        promise("Approval inbox: run:read, approval:read, approval:submit", [
          "gateway/Scopes",
          "approval:submit reaches exactly what it implies"
        ]),
        promise("Operator tools: run:read, run:write, approval:submit", [
          "gateway/Scopes",
          "everything reaches everything"
        ]),
        promise("Rotate token grants regularly", [
          "access/Access",
          "a rotated token has a new secret with the same grant, and the old one ends at once"
        ]),
        promise("revoke grants when a user, CI job, or integration no longer needs access", [
          "access/Access",
          "a revoked token is refused by the next request"
        ]),
        promise("store tenant-level orgs, projects, teams, usage, secret references, and audit events", [
          "control-plane/Seed",
          "the code of the seed runs as written, and every answer has what was given"
        ]),
        promise("Keep identity-provider assertions and billing-provider webhooks outside SQLite", [
          "control-plane/Records",
          "billing accounts, identity providers and secret references are written, written anew, read and deleted"
        ])
      ]
    },
    {
      heading: "Execution Boundary",
      lines: [
        promise("request and result bundles are written under the run sandbox directory", [
          "sandbox/SandboxTask",
          "a sandbox gets its input, and its outputs are the result of the step"
        ]),
        promise("bundle manifests are size-bounded", [
          "sandbox/bundle/Hostile",
          "all bundles that are hostile in what they say are refused, each by its rule"
        ]),
        promise("patch and artifact paths are checked against path traversal", [
          "sandbox/bundle/Hostile",
          "the corpus has more than 200 hostile bundles"
        ], [
          "sandbox/bundle/Race",
          "in 9,000 validations of a bundle that changes under them nothing from outside is ever read"
        ]),
        promise("produced diffs require review unless autoAcceptDiffs is enabled", [
          "sandbox/SandboxTask",
          "changes wait for a review, are not there before it, and are there after it"
        ], ["sandbox/SandboxTask", "with autoAcceptDiffs nobody is asked"]),
        promise("sandbox records and events are persisted for audit", [
          "gateway/Sandboxes",
          "sandboxes.list shows status, policy and proof of each attempt"
        ], [
          "gateway/Sandboxes",
          "events of sandboxes are listed and streamed under their own names, and broadcast to nobody"
        ]),
        promise("allowNetwork, container images, environment variables, ports, volumes, and CPU or memory limits", [
          "sandbox/SandboxTask",
          "a control that the runtime cannot enforce fails the step before anything runs"
        ], ["sandbox/runtime/ContainerRuntime", "carry every limit, and memory without swap beyond it"]),
        promise("Verify the selected runtime enforces the controls you depend on", [
          "sandbox/runtime/Probe",
          "finds every control of bubblewrap enforced"
        ], ["sandbox/runtime/Probe", "a runtime that pretends is found out before anything runs"]),
        promise(
          "run sandbox workers in a separate account, namespace, or machine with no ambient production credentials",
          [
            "cli/Worker",
            "runs under another account, which has no file of the service open to it"
          ]
        )
      ]
    },
    {
      heading: "Secrets",
      lines: [
        promise("Never pass long-lived credentials through workflow input", [
          "engine/Secrets",
          "an input, an id, a key and whoever started it are refused before anything is written"
        ]),
        promise("short-lived tokens from the caller, scoped environment injection at the worker boundary", [
          "secrets/SandboxEnvironment",
          "an environment has the literals and secrets that are named, and nothing else"
        ]),
        promise("a secret manager mounted only into the worker process that needs it", [
          "secrets/Providers",
          "the providers of the service are its environment, files, and the operator's programs"
        ]),
        promise("Do not store provider keys in SQLite rows, run input, task output, or event payloads", [
          "cli/SecretCampaign",
          "guarantee 6: canaries that are planted wherever there is a place for one come to rest nowhere"
        ]),
        promise("Redact logs before forwarding them to shared observability sinks", [
          "secrets/Redaction",
          "have no secret in message, annotations, spans and causes, whatever the logger"
        ]),
        promise("Split launch permissions from approval permissions", [
          "gateway/EndToEnd",
          "a reader sees approvals only with their scope, and decides only with theirs"
        ], [
          "cli/Doctor",
          "answers the release checklist with evidence, and turns to yes when the operator has done what it says"
        ])
      ]
    },
    {
      heading: "Cache Policy",
      lines: [
        promise("scope: \"run\" keeps reuse inside one run", [
          "cache/TruthTable",
          "scope run, another run: Absent"
        ], ["cache/TruthTable", "scope run, same run: hit"]),
        promise("scope: \"workflow\" shares reuse across runs of the same workflow", [
          "cache/TruthTable",
          "default scope, another run of the workflow: hit"
        ], ["cache/TruthTable", "default scope, another workflow: Absent"]),
        promise("scope: \"global\" shares reuse across workflow names", [
          "cache/TruthTable",
          "scope global, another workflow: hit"
        ]),
        promise("ttlMs bounds staleness; expired cache rows are treated as misses and refreshed", [
          "cache/TruthTable",
          "when the ttl is over: Expired"
        ], ["cache/Housekeeping", "expired entries are swept at the next round, others stay"]),
        promise("version should change whenever prompt, model, provider, tool behavior, or output semantics change", [
          "cache/TruthTable",
          "another version: Absent"
        ], ["cache/TruthTable", "another agent: Absent"]),
        promise("Cached payloads are still validated against the current output schema on every hit", [
          "cache/Cache",
          "a result that does not fit the schema is a miss with the reason, and is replaced"
        ]),
        promise("A schema mismatch is a cache miss", [
          "engine/CachedTask",
          "Guarantee 5: a stored result that was tampered with or does not fit is a miss, says so, and is replaced"
        ])
      ]
    },
    {
      heading: "Audit Trail",
      lines: [
        promise("Gateway access logs", [
          "gateway/AccessLog",
          "what a grant called is in the audit, a row for each minute in which it called anything"
        ], [
          "gateway/AuditedActions",
          "every audited action of the list is there after a day of operation, with its fields"
        ]),
        promise("Smithers run events", [
          "gateway/Methods",
          "listEvents pages the journal in the stored vocabulary, from seq 1"
        ]),
        later(
          "_smithers_time_travel_audit rows",
          "There is no time travel yet: rewind, fork and replay come with an issue of their own."
        ),
        promise("sandbox bundle metadata and review decisions", [
          "sandbox/SandboxTask",
          "a reviewer accepts some files and rejects others"
        ], ["gateway/Sandboxes", "sandboxes.list shows status, policy and proof of each attempt"]),
        promise("approval decisions, notes, and actor IDs", [
          "workflow/Approval",
          "a second decision is told what the first one was, also when the run has ended; only the audit remembers it"
        ]),
        promise("deployment version and workflow module revision", [
          "gateway/AuditedActions",
          "every audited action of the list is there after a day of operation, with its fields"
        ]),
        promise("Keep the audit log append-only from the perspective of normal operators", [
          "audit/Attacks",
          "guarantee 7: verify names a row that was removed"
        ], ["audit/Checkpoints", "unsealed rows cannot be removed, sealed ones neither changed"])
      ]
    },
    {
      heading: "Release Checklist",
      lines: [
        promise("CI is green on typecheck, dependency checks, and tests", [
          "gateway/Doctor",
          "says of the build what was recorded, and does not call green what nobody has seen green"
        ], ["scripts/Build", "records commit and gate beside what it built, and whether that gate was seen green"]),
        promise("Database backups have been restored in a staging environment", [
          "cli/Audit",
          "a drill restores the newest backup beside the running service, and is in the audit"
        ]),
        promise("Gateway tokens are scoped and have bounded TTLs", [
          "cli/Doctor",
          "answers the release checklist with evidence, and turns to yes when the operator has done what it says"
        ]),
        promise("Sandbox runtime enforcement has been tested against the intended threat model", [
          "gateway/Doctor",
          "names what is wrong with the database, the modules, the sandboxes and the approvals of a service"
        ], [
          "cli/Sandboxes",
          "sandbox verify prints every control with what was seen, and fails when one that is asked for does not hold"
        ]),
        promise("Approval paths have a named owner and a fallback owner", [
          "gateway/Doctor",
          "names what is wrong with the database, the modules, the sandboxes and the approvals of a service"
        ]),
        promise("Logs are retained long enough to investigate delayed workflow failures", [
          "gateway/Doctor",
          "asks for a retention that outlasts the oldest run that has not ended"
        ], [
          "engine/Retention",
          "runs that ended longer ago than they are kept go, in batches, each with a row in the audit"
        ])
      ]
    }
  ]
}

const controlPlane: Seed = {
  title: "Control plane",
  headings: ["Control plane", "What Ships", "Hosted Boundary", "Gateway Console"],
  sections: [
    {
      heading: "Control plane",
      lines: [
        promise("a durable control-plane store for deployments that need multi-tenant product boundaries", [
          "control-plane/Seed",
          "a store on the same file again has what was written"
        ]),
        promise("The store is intentionally small: it gives hosted services a tested schema", [
          "control-plane/Records",
          "every list goes page by page without gap or overlap"
        ]),
        promise(
          "leaving payment collection, identity-provider handshakes, and secret-value reads to the hosted service",
          [
            "control-plane/Records",
            "billing accounts, identity providers and secret references are written, written anew, read and deleted"
          ]
        )
      ]
    },
    {
      heading: "What Ships",
      lines: [
        promise("Import the store from the public facade", [
          "control-plane/Seed",
          "the code of the seed runs as written, and every answer has what was given"
        ]),
        promise("Or from the scoped package: @smithers-orchestrator/control-plane", [
          "control-plane/ScopedPackage",
          "runs the code of the seed with the scoped import, as npm would install both packages"
        ]),
        promise("organizations", [
          "control-plane/Records",
          "an organization is made, read, listed, changed in part and deleted"
        ]),
        promise("teams and team membership", [
          "control-plane/Records",
          "teams have members with roles, and projects grant roles to teams"
        ]),
        promise("projects and project team grants", [
          "control-plane/Records",
          "teams have members with roles, and projects grant roles to teams"
        ]),
        promise("billing account records", [
          "control-plane/Records",
          "billing accounts, identity providers and secret references are written, written anew, read and deleted"
        ]),
        promise("identity-provider records for SAML/OIDC configuration", [
          "control-plane/Records",
          "billing accounts, identity providers and secret references are written, written anew, read and deleted"
        ]),
        promise("usage events, summaries, and quota checks", [
          "control-plane/Usage",
          "what a check and a summary say is the plain SUM over the events, for every period, zone and moment"
        ], [
          "control-plane/RunBudget",
          "two hundred concurrent runs execute no more than the limit allows, and the rest when it is raised"
        ]),
        promise(
          "secret manager references, not secret values",
          [
            "control-plane/Records",
            "billing accounts, identity providers and secret references are written, written anew, read and deleted"
          ],
          ["secrets/Secrets", "no schema of the package encodes a value: none has a Redacted in it"],
          [
            "gateway/OrgSecrets",
            "one name is what each organization, and a project of it, calls so; rotated and removed it is so at once"
          ]
        ),
        promise("audit events and org audit export", [
          "control-plane/OrgAudit",
          "an export has everything of one organization, its audit in pages when it is long"
        ]),
        promise("const store = new ControlPlaneStore(sqlite)", [
          "control-plane/Seed",
          "the code of the seed runs as written, and every answer has what was given"
        ]),
        promise("Foreign keys are enabled during setup", [
          "control-plane/Records",
          "what names an organization, a project or a team that is not there is refused, and nothing is written"
        ]),
        promise("Deleting an org cascades", [
          "control-plane/Seed",
          "deleting an organization takes along its projects, providers, usage, limits, references and audit"
        ], [
          "control-plane/Records",
          "a deleted organization takes its rows and no others; what went is counted and kept in the service's audit"
        ], [
          "gateway/DeletedOrgs",
          "takes along its runs: all that have not ended are cancelled, and nobody is asked for them any more"
        ])
      ]
    },
    {
      heading: "Hosted Boundary",
      lines: [
        others("SSO/SAML or OIDC authentication", "The hosted service; ours is the port that it fills."),
        others(
          "billing provider checkout and invoices",
          "The hosted service, from the billing records and usage events."
        ),
        promise("cloud object storage for large artifacts", [
          "artifacts/S3Store",
          "lie below the prefix, by organization and run, with their hash; keys never reach the store"
        ]),
        promise("managed secret provider reads at worker runtime", [
          "secrets/Secrets",
          "each resolution is observed by name and outcome before the value is there"
        ]),
        promise("audit export delivery and retention policy", [
          "audit/Checkpoints",
          "rows are pruned under a signed seal, from which the rest is verified"
        ], [
          "audit/Retention",
          "rows older than the audit is kept are sealed and removed, day after day, and the rest verifies"
        ]),
        others(
          "SLAs, support, compliance controls, and incident response",
          "The hosted service; an incident is reviewed from the audit's exports."
        ),
        promise("The open-source package owns the durable data contract", [
          "control-plane/Store",
          "a service and a script share one file: each sees what the other wrote, limits and audit among it"
        ]),
        others(
          "The hosted service owns identity, payment collection, tenant isolation, compliance operations, and infrastructure support",
          "The hosted service."
        )
      ]
    },
    {
      heading: "Gateway Console",
      lines: [
        promise("Use the built-in console when you need an operator surface", [
          "console/Console",
          "launches from the form, shows steps and events live, and finishes after an approval with a note"
        ]),
        promise("const gateway = new Gateway({ ui: true })", [
          "gateway/Seed",
          "the code of the seed runs as written: a gateway with the console at /console"
        ]),
        promise("It mounts at /console", [
          "gateway/ConsoleHosting",
          "is the same page at every path below its mount, with the boot object and a nonce of its own"
        ]),
        promise("uses stable Gateway RPCs for workflow inventory, active runs, and approval decisions", [
          "console/Console",
          "lists the workflows with what they say of themselves"
        ], ["console/Console", "decides on the approvals page, and tells when an approval no longer waits"]),
        promise("pass ui: { entry, path, title, props } and build a custom Gateway UI", [
          "gateway/Seed",
          "a gateway with a ui of its own has it at its path, with its title and props, and no console"
        ], [
          "console/Console",
          "stands beside a user interface of the operator's own, which has its title and props, and runs by RPC"
        ])
      ]
    }
  ]
}

export const seeds: ReadonlyArray<Seed> = [production, controlPlane]
