/** The passphrase of private keys as the environment gives it: QAT_PASSPHRASE, or the file of QAT_PASSPHRASE_FILE. */
import { readFile } from 'node:fs/promises'
import { errorMessage } from '../../src/errors.ts'
import { KeyFileError } from './keyfile.ts'

/**
 * Undefined if neither is set. An empty QAT_PASSPHRASE is handed on: who makes keys must not take it for the wish to
 * have none. The end of the file's line is no part of it. Throws KeyFileError key-file-passphrase.
 */
export async function givenPassphrase(): Promise<string | undefined> {
  const { QAT_PASSPHRASE: passphrase, QAT_PASSPHRASE_FILE: path } = process.env
  if (!path) return passphrase
  const refused = (message: string, cause?: unknown) =>
    new KeyFileError('key-file-passphrase', message, { path }, { cause })
  if (passphrase) throw refused('Give either QAT_PASSPHRASE or QAT_PASSPHRASE_FILE, not both.')
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw refused(
      `${path}, which QAT_PASSPHRASE_FILE names, could not be read: ${errorMessage(cause)}`,
      cause,
    )
  })
  const line = text.replace(/\r?\n$/, '')
  if (line === '') throw refused(`${path}, which QAT_PASSPHRASE_FILE names, is empty.`)
  return line
}
