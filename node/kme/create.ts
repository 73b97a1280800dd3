/**
 * Folders for KMEs that know each other: one for each application, a fibre between every two, and an authority of their
 * own. Teams that run their own KMEs write `kme.json` themselves, or have a device and need none.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ProfileName } from '../../src/qkd/profile.ts'
import { createAuthority, issueCertificate, kmeUri, saeUri } from './certificates.ts'
import type { KmePlace } from './config.ts'

export interface NewKme {
  /** Its application. */
  readonly sae: string
  /** Gets kme.json, certificates and private keys. */
  readonly dir: string
  readonly api: KmePlace
  readonly links: KmePlace
  /** By which the others reach its links. */
  readonly host: string
  readonly admin?: KmePlace
}

export interface KmesOptions {
  /** Gets the authority. */
  readonly dir: string
  readonly kmes: readonly NewKme[]
  readonly profile: ProfileName
  /** In place of the profile's. */
  readonly pulsesPerSecond?: number
  readonly keysMax: number
  /** Milliseconds since 1970. */
  readonly now: number
  /** Pairs without a fibre, and the KMEs between them. */
  readonly routes?: readonly { readonly from: string; readonly to: string; readonly via: readonly string[] }[]
}

/** In the folder of the whole ledger; the key belongs offline. */
export const KME_AUTHORITY = { cert: 'qkd-ca.pem', key: 'qkd-ca.key' } as const

/** In the folder of each KME. */
export const KME_FILES = {
  config: 'kme.json',
  ca: 'ca.pem',
  kmeCert: 'kme.pem',
  kmeKey: 'kme.key',
  saeCert: 'sae.pem',
  saeKey: 'sae.key',
} as const

export function kmeIdOf(sae: string): string {
  return `kme-${sae}`
}

export async function createKmes(options: KmesOptions): Promise<void> {
  const { dir, kmes, profile, pulsesPerSecond, keysMax, now, routes = [] } = options
  const authority = await createAuthority('Quantum Audit Trail KMEs', now)
  await writeFile(join(dir, KME_AUTHORITY.cert), authority.cert)
  await writeFile(join(dir, KME_AUTHORITY.key), authority.key, { mode: 0o600 })
  const routesOf = (sae: string) =>
    routes.flatMap(({ from, to, via }) => {
      if (from === sae) return [{ other: to, via }]
      return to === sae ? [{ other: from, via: via.toReversed() }] : []
    })
  for (const kme of kmes) {
    const id = kmeIdOf(kme.sae)
    const far = routesOf(kme.sae)
    const hasFibre = (sae: string) => far.every(({ other }) => other !== sae)
    await mkdir(kme.dir, { recursive: true, mode: 0o700 })
    const put = (file: string, text: string, mode = 0o644) => writeFile(join(kme.dir, file), text, { mode })
    await put(KME_FILES.ca, authority.cert)
    const hosts = [...new Set([kme.host, kme.api.host, 'localhost', '127.0.0.1'])]
    const own = await issueCertificate(authority, { commonName: id, uri: kmeUri(id), hosts }, now)
    await put(KME_FILES.kmeCert, own.cert)
    await put(KME_FILES.kmeKey, own.key, 0o600)
    const sae = await issueCertificate(authority, { commonName: kme.sae, uri: saeUri(kme.sae) }, now)
    await put(KME_FILES.saeCert, sae.cert)
    await put(KME_FILES.saeKey, sae.key, 0o600)
    const config = {
      id,
      api: kme.api,
      links: kme.links,
      ...(kme.admin && { admin: kme.admin }),
      ca: KME_FILES.ca,
      cert: KME_FILES.kmeCert,
      key: KME_FILES.kmeKey,
      saes: [kme.sae],
      peers: kmes
        .filter(({ sae: other }) => other !== kme.sae && hasFibre(other))
        .map((other) => ({
          id: kmeIdOf(other.sae),
          host: other.host,
          port: other.links.port,
          profile,
          ...(pulsesPerSecond !== undefined && { pulsesPerSecond }),
          saes: [other.sae],
        })),
      routes: far.map(({ other, via }) => ({
        id: kmeIdOf(other),
        via: via.map(kmeIdOf),
        saes: [other],
      })),
      store: 'store',
      keysMax,
    }
    await put(KME_FILES.config, `${JSON.stringify(config, undefined, 2)}\n`)
  }
}
