/** New certificates for a KME and its application under the names of the old ones, by the authority of `qat init`. */
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { utf8 } from '../../src/bytes.ts'
import { errorMessage } from '../../src/errors.ts'
import { replaceFile } from '../durable-file.ts'
import { issueCertificate } from './certificates.ts'
import { KmeError } from './config.ts'
import { KME_AUTHORITY, KME_FILES } from './create.ts'

export interface Renewed {
  /** Path of the certificate. */
  readonly cert: string
  /** Milliseconds since 1970. */
  readonly endsAt: number
}

/**
 * @param dir the folder `qkd` of a node
 * @param authorityDir where `qat init` has put the authority
 * @param now milliseconds since 1970
 * Throws KmeError `kme-config` for a missing file, and for certificates of another authority.
 */
export async function renewCertificates(dir: string, authorityDir: string, now: number): Promise<Renewed[]> {
  const read = (path: string) =>
    readFile(path, 'utf8').catch((cause: unknown) => {
      throw new KmeError('kme-config', `${path} cannot be read: ${errorMessage(cause)}`, { path }, { cause })
    })
  const authority = {
    cert: await read(join(authorityDir, KME_AUTHORITY.cert)),
    key: await read(join(authorityDir, KME_AUTHORITY.key)),
  }
  const issuer = new X509Certificate(authority.cert)
  const pairs = [
    [join(dir, KME_FILES.kmeCert), join(dir, KME_FILES.kmeKey)],
    [join(dir, KME_FILES.saeCert), join(dir, KME_FILES.saeKey)],
  ] as const
  const made = []
  for (const [cert, key] of pairs) {
    const old = new X509Certificate(await read(cert))
    if (!old.verify(issuer.publicKey)) {
      const message = `${cert} was not issued by the authority in ${authorityDir}: have its own authority renew it.`
      throw new KmeError('kme-config', message, { path: cert })
    }
    const leaf = { commonName: commonNameOf(old), ...namesOf(old) }
    made.push({ cert, key, pair: await issueCertificate(authority, leaf, now) })
  }
  for (const { cert, key, pair } of made) {
    await replaceFile(key, utf8(pair.key))
    await replaceFile(cert, utf8(pair.cert))
  }
  return made.map(({ cert, pair }) => ({
    cert,
    endsAt: new X509Certificate(pair.cert).validToDate.getTime(),
  }))
}

function commonNameOf({ subject }: X509Certificate): string {
  return /^CN=(.*)$/m.exec(subject)?.[1] ?? ''
}

/** As `certificates.ts` writes them: one URI, and hosts. */
function namesOf({ subjectAltName = '' }: X509Certificate): { uri: string; hosts: string[] } {
  const names = subjectAltName
    .split(', ')
    .map((name) => [name.slice(0, name.indexOf(':')), name.slice(name.indexOf(':') + 1)] as const)
  const uri = names.find(([kind]) => kind === 'URI')?.[1] ?? ''
  return {
    uri,
    hosts: names.filter(([kind]) => kind === 'DNS' || kind === 'IP Address').map(([, host]) => host),
  }
}
