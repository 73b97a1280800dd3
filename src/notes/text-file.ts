/** Files of lines that people keep: policies and proofs. What editors and shells do to them is refused by name. */
import { fromUtf8 } from '../bytes.ts'
import { FormatError } from '../errors.ts'

const AGAIN = 'Save it as it was written, or take a fresh copy.'

/**
 * The text of such a file. Throws FormatError: `truncated` for an empty one, `bad-utf8` for UTF-16, a byte order mark
 * and other bytes that are no UTF-8, `bad-line-end` for lines that end with CR LF or CR.
 */
export function textOfFile(bytes: Uint8Array): string {
  const [first, second, third] = bytes
  if (first === undefined) throw new FormatError('truncated', 'It is empty.')
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    throw new FormatError('bad-utf8', `It is in UTF-16, not in UTF-8. ${AGAIN}`)
  }
  if (first === 0xef && second === 0xbb && third === 0xbf) {
    throw new FormatError('bad-utf8', `It begins with a byte order mark, which an editor added. ${AGAIN}`)
  }
  const text = fromUtf8(bytes)
  const at = text.indexOf('\r')
  if (at < 0) return text
  const line = text.slice(0, at).split('\n').length
  throw new FormatError(
    'bad-line-end',
    `Line ${line} has a Windows line end (CR LF), which an editor or a copy added. ${AGAIN}`,
    { line },
  )
}
