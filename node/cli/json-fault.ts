/** Where a text stops being JSON (RFC 8259), for people who have to find it. It says nothing about texts that are JSON. */

const SPACE = /[ \t\n\r]*/y
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON strings hold none
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*/y
const SCALAR = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null)(?![-+.\w])/y

/** Line, column and character at which the text is wrong, as the middle of a sentence; undefined if it is JSON. */
export function jsonFault(text: string): string | undefined {
  const at = faultAt(text)
  if (at === undefined) return undefined
  const before = text.slice(0, at).split('\n')
  const place = `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`
  const found = String.fromCodePoint(text.codePointAt(at) ?? 0)
  return at >= text.length
    ? `${place}: the text ends too early`
    : `${place}: ${JSON.stringify(found)} is not expected`
}

/** Whether the text could become JSON if it went on. */
export function isUnfinished(text: string): boolean {
  return (faultAt(text) ?? -1) >= text.length
}

function faultAt(text: string): number | undefined {
  const closers: string[] = []
  let at = 0
  const take = (pattern: RegExp) => {
    pattern.lastIndex = at
    const { 0: token } = pattern.exec(text) ?? {}
    at += token?.length ?? 0
    return token !== undefined
  }
  const takes = (character: string) => {
    take(SPACE)
    if (text[at] !== character) return false
    at++
    return true
  }
  // Without its last quote it is taken as far as it goes: that is where the fault is.
  const string = () => take(STRING) && text[at] === '"' && ++at > 0
  const name = () => take(SPACE) && string() && takes(':')
  for (;;) {
    take(SPACE)
    if (takes('{')) {
      if (!takes('}')) {
        if (!name()) return at
        closers.push('}')
        continue
      }
    } else if (takes('[')) {
      if (!takes(']')) {
        closers.push(']')
        continue
      }
    } else if (text[at] === '"' ? !string() : !take(SCALAR)) return at
    while (closers.length > 0 && takes(closers.at(-1)!)) closers.pop()
    if (closers.length === 0) break
    if (!takes(',') || (closers.at(-1) === '}' && !name())) return at
  }
  take(SPACE)
  return at < text.length ? at : undefined
}
