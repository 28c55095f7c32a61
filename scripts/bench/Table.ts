import { type Figure } from "./Measurement.ts"

const verdict = ({ met }: Figure) => met === null ? "" : met ? "met" : "MISSED"

const number = (value: number) => value.toLocaleString("en-US", { maximumFractionDigits: 2 })

/** The figures for people. */
export const table = (figures: ReadonlyArray<Figure>): string => {
  const rows = [
    ["", "value", "unit", "floor", "", "× floor", "aim", ""],
    ...figures.map((figure) => [
      figure.name,
      number(figure.value),
      figure.unit,
      figure.floor === null ? "" : number(figure.floor.value),
      figure.floor?.name ?? "",
      figure.ratio === null ? "" : number(figure.ratio),
      figure.aim ?? "",
      verdict(figure)
    ])
  ]
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const rightAligned = new Set([1, 3, 5])
  return rows.map((row) =>
    row.map((cell, column) => rightAligned.has(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!))
      .join("  ").trimEnd()
  ).join("\n")
}
