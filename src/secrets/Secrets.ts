import { Clock, Context, Duration, Effect, Layer, Redacted, type Scope } from "effect"
import { orgProvider, OrgSecrets } from "./OrgSecrets.ts"
import { SecretNotFound, SecretUnavailable } from "./SecretError.ts"
import { SecretGuard } from "./SecretGuard.ts"
import { SecretObserver } from "./SecretObserver.ts"
import { checkValue, unavailable } from "./SecretProvider.ts"
import { SecretProviders } from "./SecretProviders.ts"
import { type SecretRef, text } from "./SecretRef.ts"
import { longest, SecretsConfig } from "./SecretsConfig.ts"
import { SecretUser } from "./SecretUser.ts"

/**
 * Values of secrets, at the boundary where they are used: the client of a task, the environment of a sandbox.
 *
 * A value lives as long as the scope it was resolved in; then reading it throws. What a provider gave is used again for
 * `ttl`, a minute unless configured, so a rotated secret is seen that much later. Equal resolutions at once ask the
 * provider one after another, and what one gets the next ones take, a failure too. From its first resolution on the guard
 * knows the value. Each resolution is told to the observer, by name.
 *
 * `org:NAME` is what the organization of the run (`SecretUser`) calls so. Where it points to is looked up each time, so
 * what an organization rotates or removes is seen at once; the value is kept for what it points to, not for the name.
 */
export class Secrets extends Context.Tag("smithers-orchestrator/secrets/Secrets")<Secrets, {
  /** The value, until the scope is closed. */
  readonly resolve: (
    ref: SecretRef
  ) => Effect.Effect<Redacted.Redacted, SecretNotFound | SecretUnavailable, Scope.Scope>
  /** The value for this effect alone; what the effect returns must not hold it. */
  readonly use: <A, E, R>(
    ref: SecretRef,
    f: (value: Redacted.Redacted) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | SecretNotFound | SecretUnavailable, R>
}>() {}

type Failure = SecretNotFound | SecretUnavailable

/** What is known of one reference. */
interface Kept {
  readonly turn: Effect.Semaphore
  waiting: number
  /** Answers of the provider so far: one that came while a caller waited is his answer too. */
  answers: number
  value: Redacted.Redacted | undefined
  untilMs: number
  failure: SecretNotFound | SecretUnavailable | undefined
}

const makeSecrets = Effect.gen(function*() {
  const providers = yield* SecretProviders
  const guard = yield* SecretGuard
  const { observe } = yield* SecretObserver
  const { locate } = yield* OrgSecrets
  const settings = yield* SecretsConfig
  const ttlMs = Duration.toMillis(Duration.clamp(settings.ttl, { minimum: Duration.zero, maximum: longest }))
  const kept = new Map<string, Kept>()

  const drop = (entry: Kept): void => {
    if (entry.value !== undefined) Redacted.unsafeWipe(entry.value)
    entry.value = undefined
  }

  /** Forgets what is over, and the oldest when there is too much; never what somebody waits for. */
  const tidy = (nowMs: number): void => {
    for (const [key, entry] of kept) {
      if (entry.waiting > 0) continue
      if (entry.value !== undefined && nowMs < entry.untilMs && kept.size <= settings.maxValues) continue
      drop(entry)
      kept.delete(key)
    }
  }

  const ask = Effect.fnUntraced(function*(ref: SecretRef) {
    const { name, provider: id } = ref
    const provider = providers.get(id)
    if (provider === undefined) {
      return yield* unavailable(id, name)("UnknownProvider", `there is no provider ${id}`)
    }
    return yield* checkValue(id, name, Redacted.value(yield* provider.read(name)))
  })

  const answer = (entry: Kept, ref: SecretRef, seen: number) =>
    Effect.gen(function*() {
      const nowMs = yield* Clock.currentTimeMillis
      if (entry.value !== undefined && (nowMs < entry.untilMs || entry.answers > seen)) {
        return Redacted.value(entry.value)
      }
      if (entry.failure !== undefined && entry.answers > seen) return yield* entry.failure
      drop(entry)
      const value = yield* Effect.tapError(ask(ref), (failure) =>
        Effect.sync(() => {
          entry.answers++
          entry.failure = failure
        }))
      entry.answers++
      entry.failure = undefined
      entry.value = Redacted.make(value)
      entry.untilMs = (yield* Clock.currentTimeMillis) + ttlMs
      return value
    })

  const enter = (ref: SecretRef): Kept => {
    const key = text(ref)
    const entry = kept.get(key) ?? {
      turn: Effect.unsafeMakeSemaphore(1),
      waiting: 0,
      answers: 0,
      value: undefined,
      untilMs: 0,
      failure: undefined
    }
    kept.set(key, entry)
    entry.waiting++
    return entry
  }

  const leave = (entry: Kept) =>
    Effect.map(Clock.currentTimeMillis, (nowMs) => {
      entry.waiting--
      tidy(nowMs)
    })

  const read = (ref: SecretRef) =>
    Effect.acquireUseRelease(
      Effect.sync(() => enter(ref)),
      (entry) => entry.turn.withPermits(1)(answer(entry, ref, entry.answers)),
      leave
    )

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const entry of kept.values()) drop(entry)
      kept.clear()
    })
  )

  /** Which secret of a provider is meant. */
  const placeOf = (ref: SecretRef, user: SecretUser["Type"]) => {
    if (ref.provider !== orgProvider) return Effect.succeed(ref)
    const tenant = user?.tenant ?? null
    return tenant === null
      ? unavailable(orgProvider, ref.name)("NoOrganization", "it is asked for by no run of an organization")
      : locate(tenant, ref.name)
  }

  /** The value at a place, which is told of by the name that was asked for: where an organization keeps it is its own. */
  const taken = Effect.fnUntraced(function*(ref: SecretRef, place: SecretRef) {
    const { name: secretName, provider } = ref
    const value = yield* Effect.mapError(read(place), (failure) =>
      place === ref
        ? failure
        : failure._tag === "SecretNotFound"
        ? new SecretNotFound({ provider, secretName })
        : new SecretUnavailable({ provider, secretName, reason: failure.reason, detail: failure.detail }))
    const own = yield* Effect.acquireRelease(
      Effect.sync(() => Redacted.make(value)),
      (redacted) => Effect.sync(() => Redacted.unsafeWipe(redacted))
    )
    yield* guard.watch(ref, own)
    return own
  })

  const resolve: Secrets["Type"]["resolve"] = Effect.fn("Secrets.resolve")(function*(ref) {
    const user = yield* SecretUser
    const { name, provider } = ref
    const told = (keptBy: string | null) => {
      const tell = (outcome: "ok" | Failure["_tag"], reason: SecretUnavailable["reason"] | null) =>
        observe({ _tag: "Resolved", provider, name, outcome, reason, user, keptBy })
      return {
        onFailure: (failure: Failure) =>
          tell(failure._tag, failure._tag === "SecretUnavailable" ? failure.reason : null),
        onSuccess: () => tell("ok", null)
      }
    }
    const place = yield* Effect.tapError(placeOf(ref, user), told(null).onFailure)
    return yield* Effect.tapBoth(taken(ref, place), told(place === ref ? null : place.provider))
  })

  return Secrets.of({
    resolve,
    use: (ref, f) => Effect.scoped(Effect.flatMap(resolve(ref), f))
  })
})

/** Values of the configured providers, known to the guard from their first resolution on. */
export const layer = Layer.scoped(Secrets, makeSecrets)

export { allow } from "./Allowance.ts"
