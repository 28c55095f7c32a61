import { Deferred, Effect, FiberId } from "effect"
import type { SandboxPolicy } from "../../SandboxPolicy.ts"
import type { Job } from "./Job.ts"
import { asks } from "./requiredControls.ts"

/** Jobs that wait, at most. */
export const maxWaiting = 1_000
/** Workers that ask for work at once, at most. */
const maxPollers = 256
/** Not heard of for so long: gone. */
export const leaseMs = 15_000

interface Worker {
  readonly refuses: ReadonlySet<string>
  heardAtMs: number
}

/** A worker that asks for work. */
interface Poller {
  readonly worker: string
  readonly holder: string
  readonly refuses: ReadonlySet<string>
  readonly given: Deferred.Deferred<Job | undefined>
  job: Job | undefined
}

/** Who waits for whom. Nothing here takes time, so that there is nothing to interrupt and nothing between two steps. */
export class Jobs {
  private readonly waiting: Array<Job> = []
  private readonly leased = new Map<string, Job>()
  private readonly pollers: Array<Poller> = []
  private readonly workers = new Map<string, Worker>()

  /** False when too many wait already. */
  add(job: Job, nowMs: number): boolean {
    if (this.waiting.length >= maxWaiting) return false
    this.waiting.push(job)
    this.match(nowMs)
    return true
  }

  remove(job: Job): void {
    const index = this.waiting.indexOf(job)
    if (index >= 0) this.waiting.splice(index, 1)
    this.leased.delete(job.jobId)
  }

  find(jobId: string): Job | undefined {
    return this.leased.get(jobId)
  }

  heldBy(worker: string): Job | undefined {
    return [...this.leased.values()].find((job) => job.worker === worker)
  }

  hear(worker: string, refuses: ReadonlySet<string>, nowMs: number): void {
    for (const [name, { heardAtMs }] of this.workers) if (nowMs - heardAtMs > leaseMs) this.workers.delete(name)
    this.workers.set(worker, { refuses, heardAtMs: nowMs })
  }

  beat(job: Job, nowMs: number): void {
    job.heardAtMs = nowMs
    const worker = this.workers.get(job.worker ?? "")
    if (worker !== undefined) worker.heardAtMs = nowMs
  }

  /** Asks for work; an older question of the same worker is answered with nothing. Undefined: too many ask. */
  poll(worker: string, holder: string, refuses: ReadonlySet<string>, nowMs: number): Poller | undefined {
    const older = this.pollers.find((poller) => poller.worker === worker)
    if (older !== undefined) this.leave(older)
    if (this.pollers.length >= maxPollers) return undefined
    const poller: Poller = { worker, holder, refuses, given: Deferred.unsafeMake(FiberId.none), job: undefined }
    this.pollers.push(poller)
    this.match(nowMs)
    return poller
  }

  /** Asks no longer. */
  leave(poller: Poller): void {
    const index = this.pollers.indexOf(poller)
    if (index < 0) return
    this.pollers.splice(index, 1)
    Deferred.unsafeDone(poller.given, Effect.succeed(undefined))
  }

  /** Takes back what was given to somebody who did not get it. */
  giveBack(job: Job, nowMs: number): void {
    if (this.leased.get(job.jobId) !== job) return
    this.leased.delete(job.jobId)
    job.unlease()
    this.waiting.unshift(job)
    this.match(nowMs)
  }

  isAnyThere(nowMs: number): boolean {
    return this.pollers.length > 0 || [...this.workers.values()].some(({ heardAtMs }) => nowMs - heardAtMs < leaseMs)
  }

  /** When a worker that could take the job was last there; undefined: never. */
  heardAtMs(policy: SandboxPolicy, nowMs: number): number | undefined {
    if (this.pollers.some(({ refuses }) => takes(refuses, policy))) return nowMs
    const times = [...this.workers.values()].filter(({ refuses }) => takes(refuses, policy)).map((w) => w.heardAtMs)
    return times.length === 0 ? undefined : Math.max(...times)
  }

  /** The controls that every worker of the last time refuses, of those that are asked for; empty when none is there. */
  refusedByAll(policy: SandboxPolicy, nowMs: number): ReadonlyArray<string> {
    const there = [...this.workers.values()].filter(({ heardAtMs }) => nowMs - heardAtMs < leaseMs)
    if (there.length === 0 || there.some(({ refuses }) => takes(refuses, policy))) return []
    return asks(policy).filter((control) => there.some(({ refuses }) => refuses.has(control)))
  }

  private match(nowMs: number): void {
    for (const poller of [...this.pollers]) {
      const index = this.waiting.findIndex((job) => takes(poller.refuses, job.policy))
      if (index < 0) continue
      const [job] = this.waiting.splice(index, 1)
      if (job === undefined) continue
      job.lease(poller.holder, poller.worker, nowMs)
      this.leased.set(job.jobId, job)
      poller.job = job
      this.pollers.splice(this.pollers.indexOf(poller), 1)
      Deferred.unsafeDone(poller.given, Effect.succeed(job))
    }
  }
}

const takes = (refuses: ReadonlySet<string>, policy: SandboxPolicy): boolean =>
  asks(policy).every((control) => !refuses.has(control))
