/** Signed notes of C2SP signed-note: a text, an empty line, and signature lines. Nothing is verified here. */
import { concat, exceedsUtf8, fromBase64, fromHex, toBase64, toHex } from '../bytes.ts'
import { FormatError } from '../errors.ts'
import { NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX } from '../limits.ts'
import { checkKeyName } from './vkey.ts'

const KEY_ID_BYTES = 4

/** One signature line: em dash, key name, base64 of key ID and signature. */
export interface NoteSignature {
  readonly name: string
  /** 8 lower-case hex digits; name and ID together say which key this claims to be. */
  readonly keyId: string
  /** What follows the key ID; at least one byte, its layout is the signature type's. */
  readonly signature: Uint8Array
}

export interface Note {
  /** Ends in a newline. */
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

/**
 * Reads a note of at most NOTE_BYTES_MAX bytes and NOTE_SIGNATURES_MAX lines; `printNote` gives the same text
 * back. Throws FormatError bad-note, bad-key, bad-base64 or too-large.
 */
export function parseNote(note: string): Note {
  if (exceedsUtf8(note, NOTE_BYTES_MAX)) {
    throw new FormatError('too-large', `A note has at most ${NOTE_BYTES_MAX} bytes.`, { length: note.length })
  }
  // The text may hold empty lines of its own; the last one in the note is the one that ends it.
  const cut = note.lastIndexOf('\n\n')
  const lines = note.slice(cut + 2)
  if (cut < 0 || !lines.endsWith('\n')) {
    throw new FormatError('bad-note', 'A note is a text, an empty line, and lines that are signatures.')
  }
  const signatures = lines.slice(0, -1).split('\n')
  if (signatures.length > NOTE_SIGNATURES_MAX) {
    throw new FormatError('too-large', `A note has at most ${NOTE_SIGNATURES_MAX} signatures.`, {
      signatures: signatures.length,
    })
  }
  const text = note.slice(0, cut + 1)
  checkCharacters(text)
  return { text, signatures: signatures.map(parseSignatureLine) }
}

export function printNote({ text, signatures }: Note): string {
  if (!text.endsWith('\n') || signatures.length === 0) {
    throw new FormatError('bad-note', 'A note is a text that ends in a newline, and at least one signature.')
  }
  checkCharacters(text)
  return `${text}\n${signatures.map((signature) => `${printSignatureLine(signature)}\n`).join('')}`
}

/** Reads one line, without its newline, as witnesses send it by itself. */
export function parseSignatureLine(line: string): NoteSignature {
  const [dash, name, encoded, ...rest] = line.split(' ')
  if (dash !== '\u2014' || !name || !encoded || rest.length > 0) {
    throw new FormatError('bad-note', 'A signature line reads em dash, space, key name, space, base64.')
  }
  checkKeyName(name)
  const bytes = fromBase64(encoded)
  if (bytes.length <= KEY_ID_BYTES) {
    throw new FormatError('bad-note', 'A signature line without a signature.', { name })
  }
  return { name, keyId: toHex(bytes.subarray(0, KEY_ID_BYTES)), signature: bytes.subarray(KEY_ID_BYTES) }
}

/** One line, without its newline. */
export function printSignatureLine({ name, keyId, signature }: NoteSignature): string {
  checkKeyName(name)
  return `\u2014 ${name} ${toBase64(concat(fromHex(keyId, KEY_ID_BYTES), signature))}`
}

// What is not valid Unicode has no UTF-8 bytes of its own, so two different notes would look alike. A signature line
// need not be looked at: its name is checked as a key name, and base64 has but ASCII.
function checkCharacters(text: string): void {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) < 0x20 && text[i] !== '\n') {
      throw new FormatError('bad-note', 'The only control character in a note is the newline.')
    }
  }
  if (!text.isWellFormed()) throw new FormatError('bad-note', 'The note is not valid Unicode.')
}
