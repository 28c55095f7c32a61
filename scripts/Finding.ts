/** One violation, where it is and which rule it breaks. `file` is relative to the checked directory. */
export interface Finding {
  readonly file: string
  readonly line: number
  readonly rule: string
  readonly message: string
}

export const byPlace = (a: Finding, b: Finding): number => a.file.localeCompare(b.file) || a.line - b.line

export const render = (finding: Finding): string => `${finding.file}:${finding.line} ${finding.rule} ${finding.message}`
