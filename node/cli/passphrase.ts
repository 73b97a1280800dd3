/**
 * Where the passphrase of private keys comes from: QAT_PASSPHRASE, the file that QAT_PASSPHRASE_FILE names, or somebody
 * at a terminal. It is never an argument, which every user of the machine could see, and never printed.
 */
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { Option } from 'commander'
import { givenPassphrase } from '../crypto/given-passphrase.ts'
import { isEncryptedKeyFile } from '../crypto/keyfile.ts'
import { FILES } from '../folder.ts'
import { CliError } from './exit.ts'

/** As of every program that Ctrl-C ends. */
const INTERRUPTED = 130

/** For commands that make private keys. */
export function encryptOption(): Option {
  return new Option(
    '--encrypt',
    'ask for a passphrase, unless QAT_PASSPHRASE or QAT_PASSPHRASE_FILE gives it',
  )
}

/** For new keys; undefined if they are not to be encrypted. An empty variable is handed on, and refused with the key. */
export async function newPassphrase(encrypt = false): Promise<string | undefined> {
  const given = await givenPassphrase()
  if (given !== undefined || !encrypt) return given
  if (!atTerminal()) throw needed('--encrypt')
  const passphrase = await ask('Passphrase for the new keys: ')
  if (passphrase === '') throw new CliError('usage', 'The passphrase is empty. Leave --encrypt out for none.')
  if (passphrase !== (await ask('Once more: '))) throw new CliError('usage', 'The two passphrases differ.')
  return passphrase
}

/** For the keys in a node's folder, which all have the same one; undefined if they have none. */
export async function folderPassphrase(dir: string): Promise<string | undefined> {
  const given = (await givenPassphrase()) || undefined
  if (given !== undefined || !atTerminal()) return given
  const path = join(dir, FILES.nodeKey)
  return (await isEncryptedKeyFile(path)) ? ask(`Passphrase of ${path}: `) : undefined
}

/** For one key file that turns out to be encrypted; undefined if there is nobody to ask. */
export async function keyPassphrase(path: string): Promise<string | undefined> {
  return atTerminal() ? ask(`Passphrase of ${path}: `) : undefined
}

function needed(what: string): CliError {
  const message = `${what} needs a terminal to ask at; elsewhere set QAT_PASSPHRASE or QAT_PASSPHRASE_FILE.`
  return new CliError('usage', message)
}

function atTerminal(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true
}

/** Reads a line that is not shown. */
async function ask(question: string): Promise<string> {
  process.stderr.write(question)
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true })
  const ended = Promise.withResolvers<never>()
  lines.once('SIGINT', () => {
    lines.close()
    process.stderr.write('\n')
    process.exit(INTERRUPTED)
  })
  lines.once('close', () => ended.reject(new CliError('usage', 'No passphrase was given.')))
  try {
    return await Promise.race([lines.question(''), ended.promise])
  } finally {
    ended.promise.catch(() => undefined)
    lines.close()
    process.stderr.write('\n')
  }
}
