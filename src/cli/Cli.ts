import { CliConfig, Command, HelpDoc, ValidationError } from "@effect/cli"
import { Terminal } from "@effect/platform"
import { Cause, type ConfigError, Console, Effect, Exit, Layer, Schema } from "effect"
import { CommandFailed, exitCodes } from "./CommandFailed.ts"
import { approveCommand, denyCommand } from "./commands/ApprovalCommands.ts"
import { artifactsCommand } from "./commands/ArtifactCommands.ts"
import { auditCommand } from "./commands/AuditCommands.ts"
import { backupCommand } from "./commands/BackupCommands.ts"
import { billingCommand } from "./commands/BillingCommands.ts"
import { cacheCommand } from "./commands/CacheCommands.ts"
import { configCommand } from "./commands/ConfigCommand.ts"
import { diffCommand } from "./commands/DiffCommand.ts"
import { doctorCommand } from "./commands/DoctorCommand.ts"
import { identityProviderCommand } from "./commands/IdentityProviderCommands.ts"
import { orgCommand } from "./commands/OrgCommands.ts"
import { outboxCommand } from "./commands/OutboxCommands.ts"
import { projectCommand } from "./commands/ProjectCommands.ts"
import { quotaCommand } from "./commands/QuotaCommands.ts"
import { runCommand } from "./commands/RunCommand.ts"
import {
  cancelCommand,
  eventsCommand,
  pauseCommand,
  psCommand,
  resumeCommand,
  retryCommand,
  runsCommand,
  showCommand
} from "./commands/RunsCommands.ts"
import { sandboxCommand } from "./commands/SandboxCommands.ts"
import { secretRefCommand } from "./commands/SecretRefCommands.ts"
import { teamCommand } from "./commands/TeamCommands.ts"
import { tokenCommand } from "./commands/TokenCommands.ts"
import { usageCommand } from "./commands/UsageCommands.ts"
import { type Work, workerCommand } from "./commands/WorkerCommand.ts"
import { workflowsCommand } from "./commands/WorkflowsCommand.ts"
import { FailureDocument, ServiceDocument } from "./Documents.ts"
import { explain } from "./Explanation.ts"
import { Output } from "./Output.ts"
import { ServiceInfo } from "./ServiceInfo.ts"
import { local, provideOutput } from "./SharedOptions.ts"
import { plain } from "./Style.ts"
import { fields } from "./Table.ts"

/** What only the composition root can do; loaded when a command asks for it. */
interface Composition<E, F, R> {
  /** The service. */
  readonly app: Effect.Effect<Layer.Layer<ServiceInfo, E>>
  /** Reads every setting, as starting would. */
  readonly checkConfig: Effect.Effect<void, ConfigError.ConfigError>
  /** Works for a service elsewhere. */
  readonly work: Work<F, R>
  readonly version: string
}

const serviceText = (info: typeof ServiceDocument.Type): string =>
  [
    `Smithers is running (process ${info.pid}).`,
    "",
    fields([
      ["Console", info.console],
      ["Home", info.home],
      ["Admin token", info.adminTokenFile ?? "as given in SMITHERS_ADMIN_TOKEN"],
      ["Workflows", info.workflows.length === 0 ? "none" : info.workflows.join(", ")],
      ...info.modules.failed.map(({ detail, file, reason }) =>
        ["Not loaded", `${file} (${reason}): ${detail}`] as const
      )
    ]),
    "",
    "Stop it with Ctrl-C or SIGTERM."
  ].join("\n")

const serve = <E, F, R>({ app }: Composition<E, F, R>) =>
  Effect.scoped(Effect.gen(function*() {
    const output = yield* Output
    const context = yield* Layer.build(Layer.unwrapEffect(app))
    yield* Effect.flatMap(ServiceInfo, (info) => output.print(ServiceDocument, info, serviceText)).pipe(
      Effect.provide(context)
    )
    return yield* Effect.never
  }))

const rootCommand = <E, F, R>(composition: Composition<E, F, R>) => {
  const serveCommand = Command.make("serve", local, () => serve(composition)).pipe(
    Command.withDescription("Run the service until it is stopped. This is what happens without a command, too."),
    provideOutput
  )
  return Command.make("smithers", local, () => serve(composition)).pipe(
    Command.withDescription("A durable orchestrator for AI-agent workflows. Without a command: serve."),
    provideOutput,
    Command.withSubcommands([
      serveCommand,
      runCommand,
      psCommand,
      showCommand,
      eventsCommand,
      approveCommand,
      denyCommand,
      cancelCommand,
      pauseCommand,
      resumeCommand,
      retryCommand,
      diffCommand,
      artifactsCommand,
      runsCommand,
      workflowsCommand,
      cacheCommand,
      sandboxCommand,
      tokenCommand,
      auditCommand,
      orgCommand,
      teamCommand,
      projectCommand,
      usageCommand,
      quotaCommand,
      billingCommand,
      identityProviderCommand,
      secretRefCommand,
      outboxCommand,
      backupCommand,
      doctorCommand,
      workerCommand(composition.work),
      configCommand(composition.checkConfig)
    ])
  )
}

const exitCodeHelp = HelpDoc.blocks([
  HelpDoc.h1("EXIT CODES"),
  HelpDoc.p(
    "0 done · 1 the operation failed (of a followed run: it did not finish) · 2 the command line, an input or a setting " +
      "is not acceptable · 3 no service answers · 4 the token is missing or may not do this · 5 not found · 6 the state " +
      "does not allow it (decided already, run exists, home in use) · 130 interrupted"
  )
])

const encodeFailure = Schema.encode(Schema.parseJson(FailureDocument))

/** A sentence for people: the field if the message does not name it, the message, and the fix unless it is part of it. */
const sentence = ({ field, fix, message }: CommandFailed): string => {
  const named = field === undefined || message.includes(field) ? message : `${field}: ${message}`
  const ended = /[.!?]$/.test(named) ? named : `${named}.`
  return fix === undefined || message.includes(fix) ? ended : `${ended} ${fix}`
}

const report = Effect.fnUntraced(function*(failure: CommandFailed, json: boolean) {
  const { code, exitCode, field, fix, message } = failure
  const optional = { ...(field === undefined ? {} : { field }), ...(fix === undefined ? {} : { fix }) }
  yield* Console.error(
    json ? yield* Effect.orDie(encodeFailure({ error: { code, message, exitCode, ...optional } })) : sentence(failure)
  )
  return exitCode
})

/** An option that no command has is what is wrong, whatever the parser stumbled over first. */
const unknownOption = (argv: ReadonlyArray<string>, help: () => string): CommandFailed | undefined => {
  const options = argv.filter((word) => /^--[a-z]/.test(word))
  const known = options.length === 0 ? "" : help()
  const option = options.find((word) => !known.includes(word.replace(/=.*/, "")))
  return option === undefined ? undefined : new CommandFailed({
    outcome: "usage",
    code: "USAGE",
    field: option,
    message: `Unknown option ${option}.`,
    fix: "See --help."
  })
}

/** Help goes to stdout, coloured for a terminal only; what the parser says of errors is reported by us. */
const helpConsole = Effect.gen(function*() {
  const terminal = yield* Terminal.Terminal
  const isTerminal = yield* terminal.isTTY
  const outer = yield* Effect.console
  const log = (...parts: ReadonlyArray<string>) =>
    Effect.ignore(terminal.display(`${isTerminal ? parts.join(" ") : plain(parts.join(" "))}\n`))
  return { outer, help: { ...outer, log, error: () => Effect.void } satisfies Console.Console }
})

/** Runs one command line; answers its exit code, having reported what went wrong. */
export const run = <E, F, R>(argv: ReadonlyArray<string>, composition: Composition<E, F, R>) =>
  Effect.gen(function*() {
    const { help, outer } = yield* helpConsole
    const root = rootCommand(composition)
    const command = Command.run(root, {
      name: "smithers",
      executable: "smithers",
      version: composition.version,
      footer: exitCodeHelp
    })
    // Laid out when it is needed: it takes longer than the rest of the command line.
    const helpText = () => plain(HelpDoc.toAnsiText(Command.getHelp(root, CliConfig.defaultConfig)))
    return yield* command(argv).pipe(
      Effect.as(exitCodes.ok),
      Effect.withConsole(help),
      Effect.catchAll((error) =>
        report(
          (ValidationError.isValidationError(error) ? unknownOption(argv, helpText) : undefined) ?? explain(error),
          argv.includes("--json")
        )
      ),
      Effect.withConsole(outer)
    )
  })

/** The exit code of the process: a service or worker that was told to stop did what it should; another command did not finish. */
export const exitCodeOf = (argv: ReadonlyArray<string>, exit: Exit.Exit<unknown, unknown>): number =>
  Exit.match(exit, {
    onSuccess: (code) => typeof code === "number" ? code : exitCodes.ok,
    onFailure: (cause) => {
      if (!Cause.isInterruptedOnly(cause)) return exitCodes.failed
      const command = argv.slice(2).find((word) => !word.startsWith("-"))
      return command === undefined || command === "serve" || command === "worker" ? exitCodes.ok : exitCodes.interrupted
    }
  })
