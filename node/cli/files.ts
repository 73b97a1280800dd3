/** Files that people name on the command line: read with a bound, and refused in one sentence. */
import { open, realpath } from 'node:fs/promises'
import { fromUtf8 } from '../../src/bytes.ts'
import { errorCode, errorMessage, FormatError } from '../../src/errors.ts'
import { type Json, parseJson } from '../../src/json.ts'
import { CliError } from './exit.ts'
import { jsonFault } from './json-fault.ts'

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of its path is not a folder',
}

/** The whole file, or all of standard input for `-`; more than `bytesMax` is refused. */
export async function readInput(path: string, bytesMax: number): Promise<Uint8Array> {
  const name = path === '-' ? 'standard input' : path
  try {
    const stream = path === '-' ? process.stdin : (await open(path)).createReadStream({ end: bytesMax })
    const chunks: Buffer[] = []
    let length = 0
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      length += chunk.length
      if (length > bytesMax) throw new CliError('file', `${name} has more than ${bytesMax} bytes.`)
    }
    return new Uint8Array(Buffer.concat(chunks))
  } catch (cause) {
    if (cause instanceof CliError) throw cause
    throw new CliError('file', `${name} could not be read: ${reasonOf(cause)}.`, { path }, { cause })
  }
}

/** As `readInput`, parsed as strict JSON. */
export async function readJsonInput(path: string, bytesMax: number): Promise<Json> {
  const text = await readTextInput(path, bytesMax)
  return inFile(path, () => parseJsonText(text, bytesMax))
}

/** As `readInput`, for text in UTF-8. The mark that editors on Windows put before it is no part of it. */
export async function readTextInput(path: string, bytesMax: number): Promise<string> {
  const bytes = await readInput(path, bytesMax)
  return inFile(path, () => {
    if (isUtf16(bytes)) throw new FormatError('bad-utf8', 'It is in UTF-16. Save it as UTF-8.')
    return fromUtf8(bytes).replace(/^\ufeff/, '')
  })
}

/** As `parse`; what is no JSON is refused with the place of the fault. */
export function parseJsonText(text: string, bytesMax: number, parse = parseJson): Json {
  try {
    return parse(text, bytesMax)
  } catch (cause) {
    const fault = errorCode(cause) === 'too-large' ? undefined : jsonFault(text)
    if (fault === undefined) throw cause
    throw new FormatError('json-syntax', `It is no JSON from here on: ${fault}.`, {}, { cause })
  }
}

/** With its mark, as PowerShell writes it, or by the zero beside every character of plain English. */
function isUtf16([first, second]: Uint8Array): boolean {
  return (
    (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff) || first === 0 || second === 0
  )
}

/** Runs `read`; a failure names the file that it is about. */
export function inFile<T>(path: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    const name = path === '-' ? 'standard input' : path
    throw new CliError('file', `${name} is not usable: ${errorMessage(cause)}`, { path }, { cause })
  }
}

/** Whether both paths lead to one file. */
export async function isSameFile(a: string, b: string): Promise<boolean> {
  const [first, second] = await Promise.all([a, b].map((path) => realpath(path).catch(() => undefined)))
  return first !== undefined && first === second
}

/** Whether the operating system found nothing of that name. */
export function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

export function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return REASONS[code] ?? errorMessage(error)
}
