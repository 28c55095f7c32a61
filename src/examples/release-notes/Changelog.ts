import type * as NotesWriter from "./NotesWriter.ts"

/** The heading of a release in `CHANGELOG.md`. */
const headingOf = ({ to }: { readonly to: typeof NotesWriter.Point.Type }): string =>
  `## ${to.ref.replace(/[^\w./@+-]/g, "_")}`

/**
 * The notes as a section of a change log: headings one level deeper, the title replaced by the name of the release,
 * what is said about how they were made left out.
 */
export const sectionOf = (range: { readonly to: typeof NotesWriter.Point.Type }, markdown: string): string => {
  const body = markdown.slice(markdown.indexOf("\n") + 1)
  const end = body.lastIndexOf("\n---\n")
  const notes = (end < 0 ? body : body.slice(0, end)).trim().replace(/^(#{1,5}) /gm, "#$1 ")
  return `${headingOf(range)}\n\n${notes}\n`
}

/**
 * Puts the section that it reads before the first release of the file, or behind what the file begins with; makes the
 * file if there is none, and leaves one alone that has the release already. POSIX sh and awk, as every Debian has them.
 */
const script = `set -eu
file=CHANGELOG.md
section=$(mktemp)
result=$(mktemp)
cat > "$section"
[ -e "$file" ] || printf '# Changelog\\n' > "$file"
if grep -qxF "$(head -n 1 "$section")" "$file"; then
  echo '{"updated":false}'
  exit 0
fi
awk -v section="$section" '
  function put(  line) { while ((getline line < section) > 0) print line; done = 1 }
  !done && /^## / { put(); print "" }
  { print; blank = ($0 == "") }
  END { if (!done) { if (!blank) print ""; put() } }
' "$file" > "$result"
cat "$result" > "$file"
echo '{"updated":true}'
`

/** What is executed in the sandbox, on a copy of the repository. */
export const command: ReadonlyArray<string> = ["sh", "-c", script]
