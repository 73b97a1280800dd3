/**
 * The tokens of a node's folder, which count as they stand there: the file is read again when it changes. One that
 * cannot be read changes nothing, for a slip in it must neither stop a validator nor lock its senders out.
 */
import { unwatchFile, watchFile } from 'node:fs'
import { errorMessage } from '../src/errors.ts'
import type { Logger } from './logger.ts'
import { createTokenStore, type TokenRecord, type TokenStore } from './rpc/tokens.ts'

export interface TokenFile {
  readonly tokens: TokenStore
  /** Reads the file again, whether or not it seems to have changed. */
  reload(): Promise<void>
  close(): void
}

export interface TokenFileOptions {
  readonly path: string
  /** Throws what it finds wrong with the file. */
  readonly read: () => Promise<readonly TokenRecord[]>
  readonly logger: Logger
  readonly everyMs?: number
}

/** By looking, not by events: those do not come from every mount, nor for a file behind links that are swapped. */
const LOOK_MS = 1_000

export async function openTokenFile({
  path,
  read,
  logger,
  everyMs = LOOK_MS,
}: TokenFileOptions): Promise<TokenFile> {
  const tokens = createTokenStore([])
  let before = 'none are known'
  const load = async () => {
    try {
      const records = await read()
      tokens.replace(records)
      before = 'those known before count'
      logger.info({ tokens: records.length, path }, 'the tokens were read')
    } catch (error) {
      const reason = errorMessage(error)
      logger.error({ path, error: reason }, `the tokens in ${path} were not read, and ${before}: ${reason}`)
    }
  }
  // One reading after the other, so that the newest counts.
  let loading = load()
  const reload = () => {
    loading = loading.then(load)
    return loading
  }
  await loading
  const listener = () => void reload()
  watchFile(path, { interval: everyMs, persistent: false }, listener)
  return { tokens, reload, close: () => unwatchFile(path, listener) }
}
