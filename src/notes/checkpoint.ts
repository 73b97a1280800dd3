/** Checkpoints of C2SP tlog-checkpoint: the text of the note by which a log states its size and root. */
import { fromBase64, parseDecimal, toBase64 } from '../bytes.ts'
import { FormatError } from '../errors.ts'
import { HASH_BYTES } from '../limits.ts'

export interface Checkpoint {
  /** The log's identity, such as `audit.example/payments`. */
  readonly origin: string
  /** The number of leaves. */
  readonly size: number
  /** The root of the tree of that many leaves, 32 bytes. */
  readonly root: Uint8Array
}

export interface ParsedCheckpoint extends Checkpoint {
  /** Lines after the third, which foreign logs may have. A cosignature of type 0x06 does NOT cover them. */
  readonly extensions: readonly string[]
}

/** Reads the text of a checkpoint's note. Throws FormatError bad-checkpoint, bad-integer or bad-base64. */
export function parseCheckpoint(text: string): ParsedCheckpoint {
  const lines = text.split('\n')
  const end = lines.pop()
  const [origin, size, root, ...extensions] = lines
  // Three lines exist if the third does; an empty line would end the text early for other readers.
  if (end !== '' || origin === undefined || size === undefined || root === undefined || lines.includes('')) {
    throw new FormatError('bad-checkpoint', 'A checkpoint is three or more lines, none of them empty.')
  }
  return { origin, size: parseDecimal(size), root: checkRoot(fromBase64(root)), extensions }
}

/** The text of the note, without extension lines: our signatures would not cover them. */
export function printCheckpoint({ origin, size, root }: Checkpoint): string {
  const text = `${origin}\n${size}\n${toBase64(checkRoot(root))}\n`
  const { extensions, ...parsed } = parseCheckpoint(text)
  if (extensions.length > 0 || parsed.origin !== origin) {
    throw new FormatError('bad-checkpoint', 'The origin of a checkpoint is one line.')
  }
  return text
}

function checkRoot(root: Uint8Array): Uint8Array {
  if (root.length === HASH_BYTES) return root
  throw new FormatError('bad-checkpoint', 'The root of a tree has 32 bytes.', { bytes: root.length })
}
