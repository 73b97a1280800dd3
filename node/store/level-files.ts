/**
 * The files of a LevelDB folder, looked at before LevelDB opens it. LevelDB takes what it finds for granted: it
 * skips damaged records of its log without a word, and a log that ends early for one that was never longer. A
 * node that had voted or cosigned in those records would do it again.
 *
 * So a store that is closed leaves a list of its files with their sizes (STOPPED), which must still be true when
 * it is opened; and without one, as after a crash, the logs are read by their own checksums.
 * Log format: LevelDB, doc/log_format.md.
 */
import { appendFile, open, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { syncFolder } from '../durable-file.ts'
import { crc32c } from './crc32c.ts'
import { damaged, StoreError } from './store-error.ts'

export interface FileProblem {
  readonly file: string
  readonly what: string
  /** A crash may have done it. */
  readonly afterCrash?: true
}

const STOPPED = 'STOPPED'
const DAMAGED = 'DAMAGED'
const OWN = /^(?:CURRENT|MANIFEST-\d+|\d+\.(?:ldb|sst|log))$/

/** Whether there is a store in `folder`, or what is left of one. */
export async function hasStore(folder: string): Promise<boolean> {
  return (await ownFiles(folder)).length > 0
}

/** All files of the store in `folder`, CURRENT first. */
export async function storeFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder)
  const found = names.filter((name) => OWN.test(name) || name === STOPPED || name === DAMAGED)
  return ['CURRENT', ...found.filter((name) => name !== 'CURRENT').sort()].filter((name) =>
    found.includes(name),
  )
}

/** What is wrong with the files of a store that nobody has open; empty if nothing is. */
export async function inspectFiles(folder: string): Promise<FileProblem[]> {
  const problems: FileProblem[] = []
  const files = await ownFiles(folder)
  // LevelDB would take the folder for a new one, and delete every table in it.
  if (!files.includes('CURRENT')) problems.push({ file: 'CURRENT', what: 'is missing' })
  const noted = await readFile(join(folder, DAMAGED), 'utf8').catch(() => undefined)
  if (noted !== undefined)
    problems.push({ file: DAMAGED, what: `was left by an earlier check: ${noted.trim()}` })
  const list = await readFile(join(folder, STOPPED), 'utf8').catch(() => undefined)
  if (list !== undefined) {
    problems.push(...compare(list, await listing(folder)))
    return problems
  }
  for (const file of files.filter((name) => name.endsWith('.log'))) {
    const what = await inspectLog(join(folder, file))
    if (what) problems.push({ file, ...what })
  }
  return problems
}

/** Throws StoreError `store-damaged` if LevelDB would lose something by opening `folder`. */
export async function refuseDamagedFiles(folder: string): Promise<void> {
  const [problem] = (await inspectFiles(folder)).filter(({ afterCrash }) => !afterCrash)
  if (problem) throw damaged(`${join(folder, problem.file)} ${problem.what}.`, { file: problem.file })
}

/** The store is about to be opened: from now on the list is wrong, also if the power fails. */
export async function forgetStopped(folder: string): Promise<void> {
  await rm(join(folder, STOPPED), { force: true })
  await syncFolder(folder)
}

/** The store was closed: its files stay as they are until it is opened again. */
export async function noteStopped(folder: string): Promise<void> {
  const path = join(folder, STOPPED)
  const file = await open(path, 'w')
  try {
    await file.writeFile(await listing(folder))
    await file.sync()
  } finally {
    await file.close()
  }
}

/**
 * Keeps the store from being opened by a node until it has been repaired. Written before a check opens a damaged
 * store, for LevelDB removes the traces.
 */
export async function noteDamaged(folder: string, problems: readonly FileProblem[]): Promise<void> {
  const text = problems.map(({ file, what }) => `${file} ${what}\n`).join('')
  await appendFile(join(folder, DAMAGED), text).catch((cause: unknown) => {
    throw new StoreError('store-unusable', `${folder} cannot be written to.`, {}, { cause })
  })
}

async function ownFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((): string[] => [])
  return names.filter((name) => OWN.test(name)).sort()
}

async function listing(folder: string): Promise<string> {
  const lines: string[] = []
  for (const name of await ownFiles(folder)) {
    const { size } = await stat(join(folder, name))
    lines.push(`${name} ${size}\n`)
  }
  return lines.join('')
}

function compare(before: string, now: string): FileProblem[] {
  const sizes = (list: string) => new Map(list.split('\n').flatMap(entryOf))
  const [old, found] = [sizes(before), sizes(now)]
  const problems: FileProblem[] = []
  for (const [file, size] of old) {
    const bytes = found.get(file)
    if (bytes === undefined)
      problems.push({ file, what: 'is missing: it was there when the store was closed' })
    else if (bytes !== size) {
      problems.push({ file, what: `has ${bytes} bytes; it had ${size} when the store was closed` })
    }
  }
  for (const file of found.keys()) {
    if (!old.has(file)) problems.push({ file, what: 'was not there when the store was closed' })
  }
  return problems
}

function entryOf(line: string): [string, number][] {
  const [name, size] = line.split(' ')
  return name && size ? [[name, Number(size)]] : []
}

const LOG_BLOCK_BYTES = 32_768
const LOG_HEADER_BYTES = 7
/** LevelDB stores checksums rotated and shifted, since a log may hold other checksums as data. */
const CRC_MASK_DELTA = 0xa282ead8

async function inspectLog(path: string): Promise<Omit<FileProblem, 'file'> | undefined> {
  const bytes = await readFile(path).catch(() => new Uint8Array(0)) // a running node may have just dropped it
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = 0; at < bytes.length; ) {
    const left = LOG_BLOCK_BYTES - (at % LOG_BLOCK_BYTES)
    if (left < LOG_HEADER_BYTES) {
      at += left
      continue
    }
    if (at + LOG_HEADER_BYTES > bytes.length) return CUT_OFF
    const length = view.getUint16(at + 4, true)
    const end = at + LOG_HEADER_BYTES + length
    if (length > left - LOG_HEADER_BYTES) return { what: `has a damaged record at byte ${at}` }
    if (end > bytes.length) return CUT_OFF
    if (masked(crc32c(bytes.subarray(at + 6, end))) !== view.getUint32(at, true)) {
      return { what: `has a damaged record at byte ${at}` }
    }
    at = end
  }
  return undefined
}

const CUT_OFF = { what: 'ends in the middle of a record', afterCrash: true } as const

function masked(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + CRC_MASK_DELTA) >>> 0
}
