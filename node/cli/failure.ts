/** From anything thrown to one sentence, one stable code and one exit code. Stack traces only by QAT_DEBUG=1. */
import { CommanderError } from 'commander'
import { errorMessage, InvariantError, QatError } from '../../src/errors.ts'
import { KeyFileError } from '../crypto/keyfile.ts'
import { FolderError } from '../folder.ts'
import { ClientError, RpcError } from '../rpc/client.ts'
import { StoreError } from '../store/store-error.ts'
import { CliError, EXIT, UnansweredError } from './exit.ts'
import { printable, printJson } from './output.ts'

export interface Failure {
  readonly code: string
  readonly message: string
  readonly exit: number
  readonly facts?: Readonly<Record<string, unknown>>
}

/** Answers of a node that say "later", not "no". */
const TEMPORARY = new Set([
  'overloaded',
  'unavailable',
  'rate-limited',
  'not-final',
  'not-caught-up',
  'internal',
])

/** In terms of the command line; the node speaks of HTTP headers. */
const UNAUTHORIZED = 'The node does not know the token that --token or QAT_TOKEN gives.'

export function failureOf(error: unknown): Failure {
  const message = errorMessage(error)
  if (error instanceof CommanderError) {
    return {
      code: 'usage',
      message: message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' '),
      exit: EXIT.usage,
    }
  }
  if (error instanceof QatError) {
    const known = error.code === 'unauthorized' ? UNAUTHORIZED : message
    return { code: error.code, message: known, exit: exitOf(error), facts: error.facts }
  }
  if (isSystemError(error)) return { code: 'system', message, exit: EXIT.file }
  return { code: 'internal', message: `Internal error: ${message}`, exit: EXIT.internal }
}

/** Reports the failure where the caller reads: a JSON line on standard output, else standard error. */
export function report(failure: Failure, error: unknown, json: boolean): void {
  if (json) {
    const { code, message, facts } = failure
    printJson({ error: { code, message, ...(facts && Object.keys(facts).length > 0 ? { facts } : {}) } })
  } else {
    process.stderr.write(`qat: ${printable(failure.message.trim())}\n`)
  }
  if (process.env.QAT_DEBUG === '1') process.stderr.write(`${stackOf(error)}\n`)
}

function exitOf(error: QatError): number {
  if (error instanceof CliError || error instanceof UnansweredError) return error.exit
  if (isAboutFile(error)) return EXIT.file
  if (error instanceof InvariantError) return EXIT.internal
  if (error instanceof ClientError) return EXIT.unreachable
  if (error instanceof StoreError && error.code === 'store-damaged') return EXIT.damaged
  return error instanceof RpcError && TEMPORARY.has(error.code) ? EXIT.unreachable : EXIT.refused
}

function isAboutFile(error: QatError): boolean {
  return (
    error instanceof FolderError || (error instanceof KeyFileError && error.code !== 'key-file-passphrase')
  )
}

/** Errors of the operating system, such as ENOSPC, name the call that failed. */
function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && 'code' in error
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined
    ? String(error.stack)
    : `${error.stack}\nCaused by: ${stackOf(error.cause)}`
}
