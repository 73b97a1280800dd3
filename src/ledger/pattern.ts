/** Permission patterns: literal text in which `*` stands for any run of characters, also an empty one. */

/** Linear in the text for each star; no regular expression is built from a member's text. */
export function matches(pattern: string, text: string): boolean {
  const parts = pattern.split('*')
  if (parts.length === 1) return pattern === text
  const first = parts[0]!
  const last = parts.at(-1)!
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last))
    return false
  const end = text.length - last.length
  let at = first.length
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}

/** Whether patterns of sources and of types let their holder speak for `source` and `type`. */
export function maySpeak(
  { sources, types }: { readonly sources: readonly string[]; readonly types: readonly string[] },
  { source, type }: { readonly source: string; readonly type: string },
): boolean {
  return (
    sources.some((pattern) => matches(pattern, source)) && types.some((pattern) => matches(pattern, type))
  )
}
