/** One setting of the product. */
interface Setting {
  readonly key: string
  /** Null: nothing unless it is set. */
  readonly default: string | null
  /** Who reads it: the service, or the operator's commands. */
  readonly usedBy: "service" | "commands" | "both"
  /** Never shown. */
  readonly secret: boolean
  readonly meaning: string
}

const setting = (
  key: string,
  defaultValue: string | null,
  meaning: string,
  { secret = false, usedBy = "service" }: Partial<Pick<Setting, "secret" | "usedBy">> = {}
): Setting => ({ key, default: defaultValue, usedBy, secret, meaning })

/** Every setting there is. `smithers config` and the README's table show exactly these. */
export const catalogue: ReadonlyArray<Setting> = [
  setting("SMITHERS_HOME", ".smithers", "Directory of the database, backups, sandboxes, modules and the admin token.", {
    usedBy: "both"
  }),
  setting("SMITHERS_HOST", "127.0.0.1", "Address to listen on; one that is not loopback needs TLS.", {
    usedBy: "both"
  }),
  setting("SMITHERS_PORT", "7331", "Port to listen on; 0 picks a free one and prints it.", { usedBy: "both" }),
  setting(
    "SMITHERS_WORKFLOWS",
    null,
    "Workflow modules, .ts or .js, separated by commas; unset: the shipped examples."
  ),
  setting(
    "SMITHERS_REPO_ROOTS",
    ".",
    "Directories, separated by commas, in which `release-notes` may read repositories."
  ),
  setting(
    "SMITHERS_SYNCHRONOUS",
    "full",
    "`full`: a commit survives a power cut. `normal`: a crash of the process only."
  ),
  setting(
    "SMITHERS_ALLOW_NETWORK_FS",
    "false",
    "Start although the home lies on a network file system, at your own risk."
  ),
  setting("SMITHERS_ADMIN_TOKEN", null, "The operator's token; unset: one is made and kept in `<home>/admin-token`.", {
    secret: true
  }),
  setting(
    "SMITHERS_DEPLOYMENT",
    null,
    "What is deployed, as each audit row names it: up to 256 characters; unset: the version of the product."
  ),
  setting("SMITHERS_AUDIT_CHECKPOINT_ROWS", "10000", "Audit rows after which a checkpoint is signed, 1 to 1000000."),
  setting(
    "SMITHERS_AUDIT_CHECKPOINT_INTERVAL",
    "10 minutes",
    "The longest time between two signed checkpoints of the audit, 1 second to 1 day."
  ),
  setting(
    "SMITHERS_AUDIT_RETENTION",
    null,
    "How long the audit is kept, at least 30 days: older rows are sealed and removed once a day; unset: for ever."
  ),
  setting("SMITHERS_TOKEN_MAX_TTL", "30 days", "The longest lifetime that a token may be issued for."),
  setting(
    "SMITHERS_SECRETS_TTL",
    "1 minute",
    "How long the value of a secret is used before its provider is asked again."
  ),
  setting(
    "SMITHERS_SECRETS_COMMANDS",
    null,
    "Programs that print secrets, as a JSON object from provider to arguments with `{name}` in one of them."
  ),
  setting(
    "SMITHERS_ORG_SECRETS",
    null,
    "What secret references of organizations may point to, as `provider:prefix` separated by commas, `{org}` and `{project}` in it for the ids of the run; unset: nothing."
  ),
  setting("SMITHERS_TLS_CERT", null, "File of the TLS certificate chain (PEM); together with SMITHERS_TLS_KEY."),
  setting("SMITHERS_TLS_KEY", null, "File of the TLS private key (PEM)."),
  setting(
    "SMITHERS_ALLOWED_ORIGINS",
    null,
    "Origins that browsers may call from, separated by commas; unset: any, as every call carries its token."
  ),
  setting("SMITHERS_HEARTBEAT", "15 seconds", "Between two ticks to each WebSocket connection."),
  setting("SMITHERS_CONSOLE", "true", "Whether the console is served, at /console."),
  setting(
    "SMITHERS_UI_ENTRY",
    null,
    "ES module of a user interface of your own, .js or .mjs, in a folder of its own; unset: there is none."
  ),
  setting(
    "SMITHERS_UI_PATH",
    "/console",
    "Where it is mounted, up to 128 characters; /console takes the place of the console."
  ),
  setting("SMITHERS_UI_TITLE", "Smithers", "Title of its page, up to 200 characters."),
  setting("SMITHERS_UI_PROPS", "{}", "What it is handed: JSON of up to 65536 bytes, which anybody can read."),
  setting("SMITHERS_INSECURE_BIND", "false", "Listen on a host that is not loopback without TLS."),
  setting("SMITHERS_CANCEL_GRACE", "10 seconds", "How long the tasks of a cancelled run may take to stop."),
  setting("SMITHERS_MAX_RESUMES", "10", "Resumes in a row without progress before a run is quarantined."),
  setting(
    "SMITHERS_RUN_RETENTION",
    null,
    "How long a run is kept after its end, at least 1 day: it is removed once a day with its events; unset: for ever."
  ),
  setting("SMITHERS_CACHE_MAX_ENTRIES", "100000", "Cached results; beyond them the least recently used go."),
  setting("SMITHERS_CACHE_MAX_BYTES", "1073741824", "Bytes of cached results; beyond them the least recently used go."),
  setting("SMITHERS_CACHE_MAX_ENTRY_BYTES", "16777216", "Bytes of one cached result; a larger one is not cached."),
  setting(
    "SMITHERS_SANDBOX_RUNTIME",
    "bubblewrap",
    "Where sandboxes run that name no runtime: `bubblewrap`, `docker`, `podman` or `process`."
  ),
  setting("SMITHERS_MAX_CONCURRENT_SANDBOXES", "10", "Sandboxes that execute at once, 1 to 1000; more wait."),
  setting(
    "SMITHERS_SANDBOX_VOLUME_ROOTS",
    null,
    "Directories, separated by commas, that volumes of sandboxes may come from; unset: none."
  ),
  setting(
    "SMITHERS_SANDBOX_CGROUP",
    null,
    "A delegated cgroup v2 directory without processes, where each sandbox gets a cgroup; unset: none."
  ),
  setting(
    "SMITHERS_SANDBOX_FIRST_UID",
    "60800",
    "Running as root: the first of 256 user ids that nobody else has, one for each sandbox."
  ),
  setting(
    "SMITHERS_OUTBOUND_ALLOW",
    null,
    "Address ranges that are not public and that webhooks, identity providers and the store of artifacts may be in, separated by commas; unset: none."
  ),
  setting("SMITHERS_AUDIT_WEBHOOK", null, "URL that the audit of organizations is delivered to; unset: nowhere."),
  setting("SMITHERS_AUDIT_WEBHOOK_SECRET", null, "Reference to the secret that it is signed with, like `env:NAME`."),
  setting("SMITHERS_BILLING_WEBHOOK", null, "URL that usage is delivered to; unset: nowhere."),
  setting("SMITHERS_BILLING_WEBHOOK_SECRET", null, "Reference to the secret that it is signed with, like `env:NAME`."),
  setting("SMITHERS_OUTBOX_ATTEMPTS", "100", "Attempts at a delivery, 1 to 1000, before it is a dead letter."),
  setting("SMITHERS_OUTBOX_MAX_AGE", "1 day", "How long a delivery is tried, 1 minute to 30 days."),
  setting("SMITHERS_ARTIFACTS_MAX_BYTES", "67108864", "Bytes of one artifact of a run, 1 to 268435456."),
  setting(
    "SMITHERS_ARTIFACTS_S3_ENDPOINT",
    null,
    "URL of an S3-compatible store that artifacts go to; unset: to `<home>/artifacts`."
  ),
  setting("SMITHERS_ARTIFACTS_S3_BUCKET", null, "Its bucket, which is there already."),
  setting("SMITHERS_ARTIFACTS_S3_REGION", "us-east-1", "Its region, as signatures name it."),
  setting("SMITHERS_ARTIFACTS_S3_PREFIX", null, "What all keys begin with, ending in a slash; unset: nothing."),
  setting(
    "SMITHERS_ARTIFACTS_S3_ADDRESSING",
    "path",
    "`path`: `endpoint/bucket/key`. `virtual-host`: `bucket.endpoint/key`."
  ),
  setting("SMITHERS_ARTIFACTS_S3_ACCESS_KEY_ID", null, "Reference to the access key id, like `env:NAME`."),
  setting("SMITHERS_ARTIFACTS_S3_SECRET_ACCESS_KEY", null, "Reference to the secret access key, like `env:NAME`."),
  setting(
    "SMITHERS_ARTIFACTS_S3_SESSION_TOKEN",
    null,
    "Reference to the session token of temporary credentials; unset: they are not."
  ),
  setting("SMITHERS_ENV", "development", "`production` refuses the runtime `process`, which isolates nothing."),
  setting(
    "SMITHERS_URL",
    null,
    "Where the operator's commands find the service; unset: `<home>/address`, else host and port.",
    {
      usedBy: "commands"
    }
  ),
  setting("SMITHERS_TOKEN", null, "The token of the operator's commands; unset: `<home>/admin-token`.", {
    usedBy: "commands",
    secret: true
  })
]

/** The default of a setting that has one. */
export const defaultOf = (key: string): string => {
  const found = catalogue.find((entry) => entry.key === key)?.default
  if (found === undefined || found === null) throw new Error(`${key} has no default in the catalogue`)
  return found
}
