/**
 * The backup file (FORMATS.md section 12): a magic line, blobs behind their u32 length (genesis, then sync
 * answers), an empty blob as the end, and the SHA-256 of everything before. Read and written as a stream: a file
 * may be larger than memory.
 */
import { createHash } from 'node:crypto'
import { type FileHandle, open, realpath, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { equalBytes, utf8 } from '../../src/bytes.ts'
import { FormatError } from '../../src/errors.ts'
import { BLOCK_BYTES_MAX, HASH_BYTES } from '../../src/limits.ts'
import { SYNC_ANSWER_BYTES_MAX } from '../core/sync.ts'
import { syncFolder } from '../durable-file.ts'

export const BACKUP_MAGIC = utf8('qat-backup/v1\n')

const CHUNK_BYTES = 1_048_576

/** Writes `path`.partial; it becomes `path` when it is finished and on the disk. */
export class BackupWriter {
  readonly #path: string
  readonly #file: FileHandle
  readonly #hash = createHash('sha256')
  #bytes = 0

  private constructor(path: string, file: FileHandle) {
    this.#path = path
    this.#file = file
  }

  static async create(name: string, genesis: Uint8Array): Promise<BackupWriter> {
    const path = await realpath(name).catch(() => name) // a link stays one
    const writer = new BackupWriter(path, await open(`${path}.partial`, 'w', 0o600))
    await writer.#write(BACKUP_MAGIC)
    await writer.add(genesis)
    return writer
  }

  get bytes(): number {
    return this.#bytes
  }

  async add(blob: Uint8Array): Promise<void> {
    await this.#write(u32(blob.length))
    await this.#write(blob)
  }

  async finish(): Promise<void> {
    await this.#write(u32(0))
    await this.#write(this.#hash.copy().digest())
    await this.#file.sync()
    await this.#file.close()
    await rename(`${this.#path}.partial`, this.#path)
    await syncFolder(dirname(this.#path))
  }

  /** Leaves nothing behind. */
  async abandon(): Promise<void> {
    await this.#file.close().catch(() => {})
    await rm(`${this.#path}.partial`, { force: true })
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes)
    this.#bytes += bytes.length
    await this.#file.writeFile(bytes)
  }
}

/** Reads a backup from its beginning. Every method throws FormatError for what no writer wrote. */
export class BackupReader {
  readonly #file: FileHandle
  readonly #hash = createHash('sha256')
  #buffer: Uint8Array = new Uint8Array(0)
  #offset = 0

  readonly size: number

  private constructor(file: FileHandle, size: number) {
    this.#file = file
    this.size = size
  }

  static async open(path: string): Promise<BackupReader> {
    const file = await open(path, 'r')
    try {
      const { size } = await file.stat()
      const reader = new BackupReader(file, size)
      const magic = await reader.#take(BACKUP_MAGIC.length)
      if (!equalBytes(magic, BACKUP_MAGIC)) {
        throw new FormatError('bad-field', 'The file is no backup of a Quantum Audit Trail ledger.')
      }
      return reader
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** Bytes read so far, of `size`. */
  get offset(): number {
    return this.#offset
  }

  genesis(): Promise<Uint8Array> {
    return this.#blob(BLOCK_BYTES_MAX)
  }

  /** Encoded sync answers to the end of the file, whose checksum has then been checked. */
  async *answers(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const blob = await this.#blob(SYNC_ANSWER_BYTES_MAX)
      if (blob.length === 0) break
      yield blob
    }
    const expected = this.#hash.copy().digest()
    if (!equalBytes(await this.#take(HASH_BYTES), expected)) {
      throw new FormatError(
        'bad-field',
        'The checksum of the backup is wrong: the file was changed or damaged.',
      )
    }
    if (this.#offset !== this.size)
      throw new FormatError('trailing-bytes', 'Bytes follow the end of the backup.')
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  async #blob(max: number): Promise<Uint8Array> {
    const head = await this.#take(4)
    const length = new DataView(head.buffer, head.byteOffset).getUint32(0)
    if (length > max) {
      throw new FormatError('too-large', `A part of the backup claims ${length} bytes; it may have ${max}.`)
    }
    return this.#take(length)
  }

  /** Exactly `length` bytes, which are the caller's. */
  async #take(length: number): Promise<Uint8Array> {
    const short = length - this.#buffer.length
    if (short > 0) {
      const more = new Uint8Array(Math.max(short, CHUNK_BYTES))
      let filled = 0
      while (filled < short) {
        const { bytesRead } = await this.#file.read(more, filled, more.length - filled)
        if (bytesRead === 0) throw new FormatError('truncated', 'The backup ends in the middle.')
        filled += bytesRead
      }
      const joined = new Uint8Array(this.#buffer.length + filled)
      joined.set(this.#buffer)
      joined.set(more.subarray(0, filled), this.#buffer.length)
      this.#buffer = joined
    }
    const taken = this.#buffer.slice(0, length)
    this.#buffer = this.#buffer.subarray(length)
    this.#hash.update(taken)
    this.#offset += length
    return taken
  }
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value)
  return bytes
}
