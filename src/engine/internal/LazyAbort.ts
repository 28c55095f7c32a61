/** An AbortController that exists only if somebody asks for its signal. */
export class LazyAbort {
  private controller: AbortController | undefined
  private aborted = false

  get signal(): AbortSignal {
    this.controller ??= new AbortController()
    if (this.aborted) this.controller.abort()
    return this.controller.signal
  }

  abort(): void {
    this.aborted = true
    this.controller?.abort()
  }
}
