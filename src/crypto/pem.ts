/** PEM, the strict grammar of RFC 7468 section 3: 64 columns, nothing before, between or behind the lines. */
import { fromBase64, toBase64 } from '../bytes.ts'
import { FormatError } from '../errors.ts'

/** The longest that we read, an ML-DSA-87 PKCS#8 key with seed and expanded key, has 6,774 characters. */
export const PEM_CHARS_MAX = 8_192

export function toPem(label: string, der: Uint8Array): string {
  const lines = toBase64(der).match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}

/** The label of the first line, to choose a reader by; undefined if there is none. */
export function pemLabel(text: string): string | undefined {
  return /^-----BEGIN ([A-Z0-9 ]{1,64})-----\r?\n/.exec(text)?.[1]
}

/**
 * The DER bytes of a PEM text that carries `label`. Lines end with LF or CRLF, and the last line's end may be
 * missing, as it is in RFC examples and after a shell's `$(…)`; every other deviation from what `toPem` writes
 * is refused. Throws FormatError `too-large`, `bad-base64` or `bad-key`.
 */
export function fromPem(label: string, text: string): Uint8Array {
  if (text.length > PEM_CHARS_MAX) {
    throw new FormatError('too-large', `A PEM key has at most ${PEM_CHARS_MAX} characters.`)
  }
  const found = pemLabel(text)
  if (found === undefined) {
    throw new FormatError('bad-key', `Expected PEM, beginning "-----BEGIN ${label}-----".`)
  }
  if (found !== label) throw new FormatError('bad-key', `Expected PEM of a ${label}, got a ${found}.`)
  const lines = text.replaceAll('\r\n', '\n').replace(/\n$/, '').split('\n')
  const bytes = fromBase64(lines.slice(1, -1).join(''))
  if (toPem(label, bytes) !== `${lines.join('\n')}\n`) {
    throw new FormatError('bad-key', 'The PEM is not in strict form: 64 columns, nothing around its lines.')
  }
  return bytes
}
