/** Offline proofs of C2SP tlog-proof: index, inclusion path and signed checkpoint of one entry, as text. */
import { fromBase64, parseDecimal, toBase64 } from '../bytes.ts'
import { FormatError } from '../errors.ts'
import { HASH_BYTES, NOTE_BYTES_MAX, PROOF_HASHES_MAX } from '../limits.ts'

const HEADER = 'c2sp.org/tlog-proof@v1'

export interface TlogProof {
  readonly index: number
  /** Hashes of 32 bytes, the leaf's sibling first. */
  readonly path: readonly Uint8Array[]
  /** The checkpoint's note, verbatim and not yet read. */
  readonly checkpoint: string
  /** The `extra` line. Nothing in the proof vouches for it: believe none of it. */
  readonly unauthenticatedExtra?: Uint8Array
}

/** Reads a proof of at most NOTE_BYTES_MAX characters. FormatError with the code of what is wrong. */
export function parseTlogProof(text: string): TlogProof {
  if (text.length > NOTE_BYTES_MAX) {
    throw new FormatError('too-large', `A proof has at most ${NOTE_BYTES_MAX} characters.`, {
      length: text.length,
    })
  }
  const cut = text.indexOf('\n\n')
  if (cut < 0 || cut + 2 === text.length) throw bad('The checkpoint is missing.')
  const [header, ...lines] = text.slice(0, cut).split('\n')
  if (header !== HEADER) throw bad(`A proof begins with the line ${HEADER}.`)
  const extra = lines[0]?.startsWith('extra ') ? fromBase64(lines.shift()!.slice('extra '.length)) : undefined
  if (extra?.length === 0) throw bad('Without extra data the extra line is left out.')
  const [indexLine, ...hashes] = lines
  if (!indexLine?.startsWith('index ')) throw bad('The index line is missing.')
  if (hashes.length > PROOF_HASHES_MAX) throw bad(`A proof has at most ${PROOF_HASHES_MAX} hashes.`)
  return {
    index: parseDecimal(indexLine.slice('index '.length)),
    path: hashes.map((line) => checkHash(fromBase64(line))),
    checkpoint: text.slice(cut + 2),
    ...(extra && { unauthenticatedExtra: extra }),
  }
}

/** The text of a proof, as stored in `.tlog-proof` files. Throws as `parseTlogProof` does. */
export function printTlogProof({ index, path, checkpoint, unauthenticatedExtra }: TlogProof): string {
  const extra = unauthenticatedExtra && `extra ${toBase64(unauthenticatedExtra)}`
  const head = [HEADER, ...(extra ? [extra] : []), `index ${index}`, ...path.map((hash) => toBase64(hash))]
  const text = `${head.join('\n')}\n\n${checkpoint}`
  parseTlogProof(text)
  return text
}

function checkHash(hash: Uint8Array): Uint8Array {
  if (hash.length === HASH_BYTES) return hash
  throw bad('A hash of the path has 32 bytes.')
}

function bad(message: string): FormatError {
  return new FormatError('bad-proof', message)
}
