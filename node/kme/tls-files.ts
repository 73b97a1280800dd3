/**
 * The certificates by which KMEs and their applications know each other, as they lie on the disk: read again while the
 * process runs, so that renewing them takes no restart, and watched for their end, which would come without a word.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { errorMessage } from '../../src/errors.ts'
import { formatInstant } from '../../src/json.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'

/** PEM. */
export interface TlsIdentity {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

export type TlsPaths = TlsIdentity

export interface TlsFilesOptions {
  /** Paths of the three files. */
  readonly paths: TlsPaths
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
}

const LOOK_MS = 60_000
const DAY_MS = 86_400_000
/** From here on it is said once a day. */
export const WARN_DAYS = 30

export class TlsFiles {
  readonly #options: TlsFilesOptions
  readonly #listeners: ((identity: TlsIdentity) => void)[] = []
  readonly #stop: () => void
  #identity: TlsIdentity
  /** What was read last, also if it could not be used. */
  #seen: string
  #endsAt: number
  #warnedAt = Number.NEGATIVE_INFINITY
  #looking = Promise.resolve()

  private constructor(options: TlsFilesOptions, identity: TlsIdentity) {
    this.#options = options
    this.#identity = identity
    this.#seen = JSON.stringify(identity)
    this.#endsAt = endOf(identity)
    this.#warn()
    this.#stop = options.clock.every(LOOK_MS, () => void this.look())
  }

  /** Throws what the file system says of a file that cannot be read, and an Error for one that is no certificate. */
  static async open(options: TlsFilesOptions): Promise<TlsFiles> {
    return new TlsFiles(options, await readIdentity(options.paths))
  }

  get identity(): TlsIdentity {
    return this.#identity
  }

  /** When the first of the certificates ends, in milliseconds since 1970. */
  get endsAt(): number {
    return this.#endsAt
  }

  /** Told of every identity that takes the place of an earlier one. */
  onChange(listener: (identity: TlsIdentity) => void): void {
    this.#listeners.push(listener)
  }

  /** Reads the files again. What cannot be used, such as half of a new pair, leaves the old identity in place. */
  look(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#look())
    return this.#looking
  }

  close(): void {
    this.#stop()
  }

  async #look(): Promise<void> {
    const { paths, logger } = this.#options
    try {
      const found = await readIdentity(paths)
      const seen = JSON.stringify(found)
      if (seen !== this.#seen) {
        const endsAt = endOf(found)
        this.#seen = seen
        this.#identity = found
        this.#endsAt = endsAt
        this.#warnedAt = Number.NEGATIVE_INFINITY
        for (const listener of this.#listeners) listener(found)
        logger.info({ cert: paths.cert, ends: formatInstant(endsAt) }, 'a renewed certificate is in use')
      }
    } catch (error) {
      const found = `unusable: ${errorMessage(error)}`
      if (found !== this.#seen)
        logger.warn(
          { cert: paths.cert, error: errorMessage(error) },
          'a certificate that changed cannot be used; the one before is kept',
        )
      this.#seen = found
    }
    this.#warn()
  }

  #warn(): void {
    const { clock, logger, paths } = this.#options
    const leftMs = this.#endsAt - clock.now()
    if (leftMs > WARN_DAYS * DAY_MS || clock.now() - this.#warnedAt < DAY_MS) return
    this.#warnedAt = clock.now()
    const facts = {
      cert: paths.cert,
      ca: paths.ca,
      ends: formatInstant(this.#endsAt),
      days: Math.floor(leftMs / DAY_MS),
    }
    if (leftMs > 0)
      logger.warn(facts, 'a certificate for QKD keys ends soon: "qat kme renew", or your own authority')
    else logger.error(facts, 'a certificate for QKD keys has ended: "qat kme renew", or your own authority')
  }
}

/** Throws if a file cannot be read, is no certificate or key, or the two do not belong together. */
async function readIdentity({ ca, cert, key }: TlsPaths): Promise<TlsIdentity> {
  const read = (path: string) => readFile(path, 'utf8')
  const identity = { ca: await read(ca), cert: await read(cert), key: await read(key) }
  endOf(identity)
  if (!new X509Certificate(identity.cert).checkPrivateKey(createPrivateKey(identity.key))) {
    throw new Error(`${key} is not the key of ${cert}.`)
  }
  return identity
}

function endOf({ ca, cert }: TlsIdentity): number {
  return Math.min(...[ca, cert].map((pem) => new X509Certificate(pem).validToDate.getTime()))
}
