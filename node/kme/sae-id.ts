/** Who an application is, by its client certificate: ETSI GS QKD 014 leaves open where the SAE id stands in it. */
import type { PeerCertificate, TLSSocket } from 'node:tls'

export const SAE_ID_SOURCES = ['san-uri', 'cn', 'serial'] as const
export type SaeIdSource = (typeof SAE_ID_SOURCES)[number]

/** Undefined unless the certificate names exactly one. */
export function saeIdOf(certificate: PeerCertificate, source: SaeIdSource): string | undefined {
  if (source === 'serial') return certificate.serialNumber
  if (source === 'cn') {
    const name: unknown = certificate.subject?.CN
    return typeof name === 'string' ? name : undefined
  }
  return uriName(certificate, 'urn:qat:sae:')
}

/** What follows `prefix` in the only URI that begins so. */
export function uriName(certificate: PeerCertificate, prefix: string): string | undefined {
  const start = `URI:${prefix}`
  const names = certificate.subjectaltname?.split(', ').filter((name) => name.startsWith(start)) ?? []
  if (names.length !== 1) return undefined
  try {
    return decodeURIComponent(names[0]!.slice(start.length))
  } catch {
    return undefined
  }
}

export function certificateOf(socket: TLSSocket): PeerCertificate {
  return socket.getPeerCertificate()
}
