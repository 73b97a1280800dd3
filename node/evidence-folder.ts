/**
 * `evidence/` in a node's folder, where nothing is ever overwritten or removed:
 *
 *     <kind>-<accused>-<hash>.json     for `qat evidence verify`, such as two-seals-bravo-0f3a….json
 *     stopped-<hash>.json              why the node had to stop
 *
 * The hash is the first half of a SHA-256: of the evidence, or of the reason.
 */
import { mkdir, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { toHex, utf8 } from '../src/bytes.ts'
import { sha256 } from '../src/crypto/hash.ts'
import { errorCode, errorMessage, QatError } from '../src/errors.ts'
import { formatInstant } from '../src/json.ts'
import { decodeEvidence, EVIDENCE_KINDS, type Evidence, encodeEvidence } from '../src/ledger/evidence.ts'
import { EVIDENCE_BYTES_MAX } from '../src/limits.ts'
import type { Accusation } from './core/evidence.ts'
import { createFile, syncFolder } from './durable-file.ts'

/** Only for who runs the node: it is for them to hand it on. */
const FILE_MODE = 0o600
const HASH_DIGITS = 32

export interface EvidenceFile {
  readonly path: string
  /** Undefined if the file cannot be read as evidence. */
  readonly evidence: Evidence | undefined
  /** By the file's name: as the node calls the accused. Votes and acknowledgements do not say whose they are. */
  readonly accused: string | undefined
}

/** The evidence in a node's folder, by file name. None if there is no such folder. */
export async function readEvidenceFolder(dir: string): Promise<EvidenceFile[]> {
  const names = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  const files: EvidenceFile[] = []
  for (const name of names.filter(isEvidenceName).sort()) {
    const path = join(dir, name)
    const evidence = await readEvidence(path).catch(() => undefined)
    files.push({ path, evidence, accused: evidence && accusedIn(name, evidence) })
  }
  return files
}

function accusedIn(name: string, { kind }: Evidence): string | undefined {
  const rest = name.startsWith(`${kind}-`) ? name.slice(kind.length + 1) : ''
  return /^(.+)-[0-9a-f]+\.json$/.exec(rest)?.[1]
}

/** Puts a piece on the disk; returns its path. */
export async function keepEvidence(dir: string, { evidence, accused, hash }: Accusation): Promise<string> {
  const name = `${evidence.kind}-${accused.replace(/[^\w-]/g, '-')}-${hash.slice(0, HASH_DIGITS)}.json`
  return write(dir, name, encodeEvidence(evidence))
}

/** Puts on the disk why the node had to stop, and all that the error knows of it; one file for each reason. */
export async function keepReason(dir: string, error: unknown, now: number): Promise<string> {
  const facts = error instanceof QatError ? error.facts : {}
  const reason = { code: errorCode(error), message: errorMessage(error), facts }
  // A node that is started again and again stops for the same reason each time.
  const name = toHex(sha256(utf8(JSON.stringify(reason)))).slice(0, HASH_DIGITS)
  const report = { time: formatInstant(now), ...reason }
  return write(dir, `stopped-${name}.json`, utf8(`${JSON.stringify(report, undefined, 2)}\n`))
}

async function write(dir: string, name: string, bytes: Uint8Array): Promise<string> {
  const made = await mkdir(dir, { recursive: true, mode: 0o700 })
  if (made !== undefined) await syncFolder(join(dir, '..'))
  const path = join(dir, name)
  await createFile(path, bytes, FILE_MODE)
  return path
}

async function readEvidence(path: string): Promise<Evidence | undefined> {
  if ((await stat(path)).size > EVIDENCE_BYTES_MAX) return undefined
  return decodeEvidence(new Uint8Array(await readFile(path)))
}

function isEvidenceName(name: string): boolean {
  return name.endsWith('.json') && EVIDENCE_KINDS.some((kind) => name.startsWith(`${kind}-`))
}
