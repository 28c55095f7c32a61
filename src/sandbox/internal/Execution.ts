import { FileSystem, Path } from "@effect/platform"
import { Clock, Effect, Option, Redacted, Schedule, Schema } from "effect"
import { Audit } from "../../audit/index.ts"
import { systemActor } from "../../model/index.ts"
import { Persistence } from "../../persistence/index.ts"
import { Redaction, SandboxEnvironment, SecretGuard, Secrets, SecretUser } from "../../secrets/index.ts"
import { BlobStore } from "../BlobStore.ts"
import * as Bundle from "../Bundle.ts"
import { BundleLimits } from "../BundleLimits.ts"
import { ChangeSet, digest } from "../Change.ts"
import * as Sets from "../ChangeSet.ts"
import * as DiffBundle from "../DiffBundle.ts"
import { Probe } from "../Probe.ts"
import { SandboxConfig } from "../SandboxConfig.ts"
import type { SandboxFailed } from "../SandboxFailed.ts"
import * as SandboxPolicy from "../SandboxPolicy.ts"
import { type Executed, failed, sandboxIdOf, type SandboxRequest, type WorkflowProgram } from "../SandboxRequest.ts"
import { type Runtime, SandboxRuntime, type Spec } from "../SandboxRuntime.ts"
import { type Key, SandboxStore } from "../SandboxStore.ts"
import * as Tree from "../Tree.ts"
import { OutputLog } from "./OutputLog.ts"
import { cleaning, refusalOf } from "./refusalOf.ts"
import { type Reported, reportOf } from "./Reported.ts"

/** What belongs to us in a workspace: no part of what is copied, nor of what is reviewed. */
const ownFolder = ".smithers"
const requestFile = "sandbox-request.json"
const resultFile = "sandbox-result.json"

const encodeSet = Schema.encode(Schema.parseJson(ChangeSet))
const encodePolicy = Schema.encode(Schema.parseJson(SandboxPolicy.SandboxPolicy))
const encodeText = Schema.encode(Schema.parseJson())
const heartbeatEvery = "5 seconds"

/** The contents that a change set is worth something with only. */
const referencesOf = ({ changes }: ChangeSet): ReadonlyArray<string> =>
  changes.flatMap(({ base, produced }) =>
    [base, produced].flatMap((version) => version === null ? [] : [version.sha256])
  )

/** Executes commands, and the workflows that are offered, in folders below `root`. */
export const makeExecution = Effect.fnUntraced(function*(root: string, offered: ReadonlyMap<string, WorkflowProgram>) {
  const persistence = yield* Persistence.Persistence
  const settings = yield* SandboxConfig
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const store = yield* SandboxStore
  const blobs = yield* BlobStore
  const runtimes = yield* SandboxRuntime
  const probe = yield* Probe
  const secrets = yield* Secrets.Secrets
  const guard = yield* SecretGuard.SecretGuard
  const audit = yield* Audit.Audit
  const places = yield* Effect.makeSemaphore(settings.maxConcurrent)
  const withBlobs = Effect.provideService(BlobStore, blobs)
  const clean = cleaning(guard)

  const removed = (place: string) => Effect.ignore(fs.remove(place, { recursive: true, force: true }))
  const setup = (sandboxId: string) => (cause: { readonly message: string }) =>
    failed(sandboxId, "Setup", clean(cause.message))

  /** What the runtime is to run. */
  const commandOf = (
    { command, workflow }: SandboxRequest,
    sandboxId: string,
    runtime: Runtime
  ): Effect.Effect<Pick<Spec, "command" | "ownCode">, SandboxFailed> => {
    const invalid = (detail: string) => failed(sandboxId, "InvalidRequest", detail)
    if ((command === undefined) === (workflow === undefined)) {
      return invalid("command: must be given, or else workflow, and not both")
    }
    if (workflow === undefined) return Effect.succeed({ command: command ?? [] })
    const program = offered.get(workflow)
    if (program === undefined) return invalid(`workflow: there is no workflow ${clean(workflow)} here`)
    return runtime.runsOwnCode
      ? Effect.succeed({ command: program.command, ownCode: program.code })
      : failed(sandboxId, "NotEnforced", `workflow: ${runtime.name} cannot run one; bubblewrap can`)
  }

  /** A copy of the files to work on, the request among them. */
  const prepare = Effect.fnUntraced(function*(request: SandboxRequest, sandboxId: string, folder: string) {
    const exclude = [ownFolder, ...(request.files?.exclude ?? [])]
    const base = request.files === undefined
      ? { files: [], exclude, skipped: [] }
      : yield* Tree.record(request.files.from, { exclude })
    const work = path.join(folder, "work")
    yield* Effect.mapError(
      Effect.zipRight(removed(folder), fs.makeDirectory(folder, { recursive: true })),
      setup(sandboxId)
    )
    yield* Tree.materialize(base, work)
    const text = yield* Effect.mapError(
      encodeText(request.input ?? null),
      (error) => failed(sandboxId, "InvalidRequest", `input: ${error.message}`)
    )
    yield* Effect.mapError(
      Effect.zipRight(
        fs.makeDirectory(path.join(work, ownFolder)),
        fs.writeFileString(path.join(work, ownFolder, requestFile), text)
      ),
      setup(sandboxId)
    )
    return { base, exclude, work }
  })

  /** What the command handed over: its result file, else the last line of its output if that is JSON. */
  const reported = Effect.fnUntraced(function*(work: string, sandboxId: string, log: OutputLog) {
    const found = yield* Effect.option(Tree.capture(path.join(work, ownFolder), { exclude: [requestFile] }))
    const file = Option.getOrUndefined(found)?.files.find((each) => each.path === resultFile)
    const text = file === undefined
      ? log.lastLine
      : (yield* blobs.get(file.sha256, BundleLimits.manifestBytes)).toString()
    const report = reportOf(text, file !== undefined)
    if (report._tag === "Left") return yield* failed(sandboxId, "Refused", `${resultFile}: ${report.left}`)
    return report.right
  })

  const finish = Effect.fnUntraced(function*(
    request: SandboxRequest,
    key: Key,
    folder: string,
    report: Reported,
    changes: ChangeSet,
    log: OutputLog
  ) {
    const bundle = changes.changes.length === 0
      ? Option.none()
      // A larger one is there as blobs only.
      : yield* Effect.option(DiffBundle.fromChangeSet(changes))
    const { bytes } = yield* Bundle.writeResult(path.join(folder, "result"), {
      outputs: report.outputs,
      status: "finished",
      runId: request.runId,
      ...(Option.isSome(bundle) && { diffBundle: bundle.value })
    }, [{ path: "logs/stream.ndjson", content: log.ndjson }])
    const now = yield* Clock.currentTimeMillis
    const id = changes.changes.length === 0 ? null : digest(changes)
    const text = yield* Effect.orDie(encodeSet(changes))
    const blob = id === null ? null : yield* blobs.put(Buffer.from(text))
    const end = { status: "finished", resultBytes: bytes, patchCount: changes.changes.length, changeSet: id } as const
    yield* request.record("SandboxBundleReceived", {
      sandboxId: key.sandboxId,
      bundleSizeBytes: bytes,
      patchCount: changes.changes.length,
      hasOutputs: report.outputs !== null
    }, [
      store.end(key, { ...end, error: null }, now),
      ...(id === null || blob === null ? [store.dropDiff(request)] : [
        store.putDiff({
          runId: request.runId,
          nodeId: request.nodeId,
          iteration: request.iteration,
          changeSet: id,
          blob: blob.sha256,
          baseRef: changes.baseRef,
          references: [blob.sha256, ...referencesOf(changes)]
        }, now)
      ])
    ])
    return id
  })

  const attempt = Effect.fnUntraced(function*(request: SandboxRequest, key: Key, folder: string) {
    const { sandboxId } = key
    const policy = yield* SandboxPolicy.parse(request.policy)
    const runtime = yield* runtimes.get(request.runtime ?? settings.runtime)
    const command = yield* commandOf(request, sandboxId, runtime)
    const proof = runtime.isolated
      ? yield* probe.prove(runtime, policy)
      : yield* Effect.as(Effect.zipRight(runtime.check, runtime.supports(policy)), null)
    const { base, exclude, work } = yield* prepare(request, sandboxId, folder)
    yield* Effect.addFinalizer(() => removed(work))
    const { bytes } = yield* Bundle.writeRequest(path.join(folder, "request-bundle"), {
      status: "pending",
      sandboxId,
      provider: runtime.name,
      runtime: runtime.name,
      input: request.input ?? null
    })
    const now = yield* Clock.currentTimeMillis
    const names = [...Object.keys(request.env ?? {}), ...Object.keys(request.secrets ?? {})]
    yield* request.record("SandboxCreated", {
      sandboxId,
      runtime: runtime.name,
      isolated: runtime.isolated,
      ...(request.workflow !== undefined && { workflow: request.workflow }),
      policy,
      env: names,
      proof: proof?.controls.map(({ asked, control, enforced }) => ({ control, asked, enforced })) ?? null
    }, [
      store.create({ ...key, runtime: runtime.name, policy, proof, requestBytes: bytes, createdAtMs: now }),
      audit.append({
        atMs: now,
        actor: systemActor,
        action: "sandbox.start",
        target: `${request.runId}/${sandboxId}`,
        runId: request.runId,
        ...request.tenant,
        outcome: "ok",
        reason: null,
        detail: {
          runtime: runtime.name,
          isolated: runtime.isolated,
          ...(request.workflow !== undefined && { workflow: request.workflow }),
          policy: yield* Effect.orDie(encodePolicy(policy)),
          policyHash: proof?.policyHash ?? null,
          network: SandboxPolicy.hostsOf(policy),
          env: names,
          baseRef: Tree.refOf(base)
        }
      })
    ])
    const env = yield* SandboxEnvironment.build({ literals: request.env, secrets: request.secrets }).pipe(
      Effect.provideService(Secrets.Secrets, secrets),
      Effect.provideService(SecretUser, { runId: request.runId, tenant: request.tenant ?? null })
    )
    yield* request.record("SandboxShipped", { sandboxId, runtime: runtime.name, bundleSizeBytes: bytes }, [
      store.ship(key, now)
    ])
    const log = new OutputLog((text) => Redaction.redact(guard.redact(text)))
    const beat = Effect.flatMap(
      Clock.currentTimeMillis,
      (atMs) => request.record("SandboxHeartbeat", { sandboxId, outputBytes: log.bytes }, [store.beat(key, atMs)])
    )
    yield* Effect.forkScoped(Effect.repeat(Effect.delay(beat, heartbeatEvery), Schedule.forever))
    const outcome = yield* runtime.run({
      ...command,
      runFor: { runId: request.runId, sandboxId, tenant: request.tenant ?? null },
      workspace: work,
      env: {
        ...Redacted.value(env),
        SMITHERS_SANDBOX_REQUEST_PATH: `${ownFolder}/${requestFile}`,
        SMITHERS_SANDBOX_RESULT_PATH: `${ownFolder}/${resultFile}`
      },
      stdin: request.stdin === undefined ? undefined : Buffer.from(request.stdin),
      policy,
      onOutput: ({ bytes, stream }) =>
        Effect.forEach(
          log.add(stream, bytes),
          (text) => request.record("NodeOutput", { sandboxId, stream, text }, []),
          { discard: true }
        )
    })
    yield* Effect.forEach(
      log.rest(),
      ({ stream, text }) => request.record("NodeOutput", { sandboxId, stream, text }, []),
      { discard: true }
    )
    if (outcome.reason !== "exited") {
      const reason = outcome.reason === "timeout" ? "TimedOut" : "Killed"
      return yield* failed(sandboxId, reason, clean(`it was ended (${outcome.reason}) ${log.tail}`))
    }
    if (outcome.exitCode !== 0) {
      return yield* failed(sandboxId, "ExitCode", clean(`it ended with code ${outcome.exitCode}: ${log.tail}`))
    }
    const report = yield* reported(work, sandboxId, log)
    if (report.status !== "finished") {
      return yield* failed(
        sandboxId,
        "Reported",
        clean(
          `it says that it ${report.status === "failed" ? "failed" : "was cancelled"}${
            report.error === undefined ? "" : `: ${report.error}`
          }`
        )
      )
    }
    const changes = report.diffBundle === undefined
      ? yield* Sets.between(base, yield* Tree.capture(work, { exclude }))
      : yield* DiffBundle.toChangeSet(report.diffBundle, base)
    const changeSet = yield* finish(request, key, folder, report, changes, log)
    const executed: Executed = {
      sandboxId,
      runtime: runtime.name,
      outputs: report.outputs,
      changeSet,
      patchCount: changes.changes.length,
      durationMs: outcome.durationMs
    }
    yield* request.record("SandboxCompleted", {
      sandboxId,
      runtime: runtime.name,
      status: "finished",
      durationMs: outcome.durationMs
    }, [])
    return executed
  })

  const execute = Effect.fn("Sandbox.execute")((request: SandboxRequest): Effect.Effect<Executed, SandboxFailed> => {
    const sandboxId = sandboxIdOf(request)
    const key: Key = { runId: request.runId, sandboxId, attempt: request.attempt }
    const end = (status: "failed" | "cancelled", error: string | null) =>
      Effect.map(
        Clock.currentTimeMillis,
        (now) => store.end(key, { status, resultBytes: null, patchCount: null, changeSet: null, error }, now)
      )
    return attempt(request, key, path.join(root, request.runId, sandboxId)).pipe(
      Effect.scoped,
      withBlobs,
      Effect.mapError(refusalOf(sandboxId, clean)),
      Effect.tapError((error) =>
        Effect.flatMap(end("failed", error.message), (unit) =>
          request.record("SandboxFailed", {
            sandboxId,
            runtime: request.runtime ?? settings.runtime,
            reason: error.reason,
            error: error.detail
          }, [unit]))
      ),
      Effect.onInterrupt(() =>
        Effect.flatMap(end("cancelled", null), (unit) => Effect.ignore(persistence.write(unit)))
      ),
      places.withPermits(1)
    )
  })

  return execute
})
