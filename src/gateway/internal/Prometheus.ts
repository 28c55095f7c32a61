import { Effect, Metric, MetricState } from "effect"

const name = (text: string) => text.replaceAll(/[^a-zA-Z0-9_:]/g, "_")
const label = (text: string) => text.replaceAll("\\", "\\\\").replaceAll("\"", "\\\"").replaceAll("\n", "\\n")
const number = (value: number) =>
  value === Number.POSITIVE_INFINITY ? "+Inf" : value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value)

/** Everything the process measures, in the text format of Prometheus. */
export const prometheusText: Effect.Effect<string> = Effect.map(Metric.snapshot, (pairs) => {
  const families = new Map<string, { readonly head: string; readonly lines: Array<string> }>()
  for (const { metricKey, metricState } of pairs) {
    const family = name(metricKey.name)
    const tags = metricKey.tags.map(({ key, value }) => `${name(key)}="${label(value)}"`)
    const labels = (...more: ReadonlyArray<string>) => {
      const all = [...tags, ...more].join(",")
      return all === "" ? "" : `{${all}}`
    }
    const [type, lines] = samples(family, labels, metricState)
    const help = metricKey.description._tag === "Some"
      ? `# HELP ${family} ${metricKey.description.value.replaceAll("\n", " ")}\n`
      : ""
    const known = families.get(family) ?? { head: `${help}# TYPE ${family} ${type}`, lines: [] }
    known.lines.push(...lines)
    families.set(family, known)
  }
  return [...families.values()].map(({ head, lines }) => `${[head, ...lines].join("\n")}\n`).join("")
})

type Labels = (...more: ReadonlyArray<string>) => string

const samples = (
  family: string,
  labels: Labels,
  state: MetricState.MetricState.Untyped
): readonly [type: string, lines: ReadonlyArray<string>] => {
  if (MetricState.isCounterState(state)) return ["counter", [`${family}${labels()} ${state.count}`]]
  if (MetricState.isGaugeState(state)) return ["gauge", [`${family}${labels()} ${state.value}`]]
  if (MetricState.isHistogramState(state)) {
    return ["histogram", [
      ...state.buckets.map(([bound, count]) => `${family}_bucket${labels(`le="${number(bound)}"`)} ${count}`),
      ...(state.buckets.at(-1)?.[0] === Number.POSITIVE_INFINITY
        ? []
        : [`${family}_bucket${labels("le=\"+Inf\"")} ${state.count}`]),
      `${family}_sum${labels()} ${number(state.sum)}`,
      `${family}_count${labels()} ${state.count}`
    ]]
  }
  if (MetricState.isSummaryState(state)) {
    return ["summary", [
      ...state.quantiles.flatMap(([quantile, value]) =>
        value._tag === "Some" ? [`${family}${labels(`quantile="${quantile}"`)} ${number(value.value)}`] : []
      ),
      `${family}_sum${labels()} ${number(state.sum)}`,
      `${family}_count${labels()} ${state.count}`
    ]]
  }
  if (MetricState.isFrequencyState(state)) {
    return [
      "counter",
      [...state.occurrences].map(([word, count]) => `${family}${labels(`value="${label(word)}"`)} ${count}`)
    ]
  }
  return ["untyped", []]
}
