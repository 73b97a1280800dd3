/**
 * PEM: written by the strict grammar of RFC 7468 section 3, read by its lax one. Tools put text before and behind a key
 * ("Bag Attributes"), break lines at 76 columns, and end them with CRLF.
 */
import { fromBase64, toBase64 } from '../bytes.ts'
import { FormatError } from '../errors.ts'

/** An ML-DSA-87 PKCS#8 key with seed and expanded key has 6,774 characters; room for text around it. */
export const PEM_CHARS_MAX = 16_384

const BLOCK =
  /^-----BEGIN ([A-Z0-9 ]{1,64})-----[ \t]*\r?\n([A-Za-z0-9+/=\s]*)^-----END \1-----[ \t]*(?:\r?$|\r?\n)/gm

export function toPem(label: string, der: Uint8Array): string {
  const lines = toBase64(der).match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}

/** The label of the key in a text, to choose a reader by; undefined if there is none. */
export function pemLabel(text: string): string | undefined {
  return text.length > PEM_CHARS_MAX ? undefined : blocks(text)[0]?.label
}

/**
 * The DER bytes of the one PEM key in `text`, which must carry `label`. What stands around it is ignored, and so are
 * spaces and line ends within. Throws FormatError `too-large`, `bad-base64` or `bad-key`.
 */
export function fromPem(label: string, text: string): Uint8Array {
  if (text.length > PEM_CHARS_MAX) {
    throw new FormatError('too-large', `A PEM key has at most ${PEM_CHARS_MAX} characters.`)
  }
  const [found, ...others] = blocks(text)
  if (found === undefined) {
    throw new FormatError('bad-key', `Expected PEM, "-----BEGIN ${label}-----" to "-----END ${label}-----".`)
  }
  if (others.length > 0)
    throw new FormatError('bad-key', 'There are several keys in this PEM. Give one alone.')
  if (found.label !== label)
    throw new FormatError('bad-key', `Expected PEM of a ${label}, got a ${found.label}.`)
  return fromBase64(found.base64.replace(/\s+/g, ''))
}

function blocks(text: string): { label: string; base64: string }[] {
  return [...text.matchAll(BLOCK)].map(([, label, base64]) => ({ label: label!, base64: base64! }))
}
