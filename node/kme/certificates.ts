/**
 * A certificate authority of one's own, for KMEs and the applications beside them: names stand as URIs in the subject
 * alternative names, `urn:qat:kme:<id>` and `urn:qat:sae:<id>`. Keys are ECDSA P-256, because TLS stacks and hardware
 * KMEs take these everywhere; they authenticate connections today, and what is recorded today is not opened by
 * forging them later. A team that has an authority uses that.
 */
import 'reflect-metadata'
import { randomBytes, webcrypto } from 'node:crypto'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type GeneralNameType,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'

export interface CertifiedKey {
  /** PEM. */
  readonly cert: string
  /** PKCS#8 PEM. */
  readonly key: string
}

export interface LeafOptions {
  readonly commonName: string
  readonly uri: string
  /** Host names and IP addresses under which a server is reached. */
  readonly hosts?: readonly string[]
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const DAY_MS = 86_400_000
const AUTHORITY_DAYS = 3_650
const LEAF_DAYS = 825
const SERIAL_BYTES = 16

const { subtle } = webcrypto as unknown as Crypto

cryptoProvider.set(webcrypto as unknown as Crypto)

export const saeUri = (id: string) => `urn:qat:sae:${encodeURIComponent(id)}`
export const kmeUri = (id: string) => `urn:qat:kme:${encodeURIComponent(id)}`

/** @param now milliseconds since 1970 */
export async function createAuthority(name: string, now: number): Promise<CertifiedKey> {
  const keys = await generateKeys()
  const cert = await X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [name] }],
    serialNumber: serialNumber(),
    ...validity(now, AUTHORITY_DAYS),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { cert: pem(cert), key: await privatePem(keys) }
}

export async function issueCertificate(
  authority: CertifiedKey,
  { commonName, uri, hosts = [] }: LeafOptions,
  now: number,
): Promise<CertifiedKey> {
  const issuer = new X509Certificate(authority.cert)
  const [der] = PemConverter.decode(authority.key)
  const signingKey = await subtle.importKey('pkcs8', der!, ALGORITHM, false, ['sign'])
  const keys = await generateKeys()
  const names = hosts.map((value) => ({ type: nameType(value), value }))
  const cert = await X509CertificateGenerator.create({
    subject: [{ CN: [commonName] }],
    issuer: issuer.subject,
    serialNumber: serialNumber(),
    ...validity(now, LEAF_DAYS),
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth, ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension([{ type: 'url', value: uri }, ...names]),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { cert: pem(cert), key: await privatePem(keys) }
}

function generateKeys() {
  return subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
}

async function privatePem({ privateKey }: CryptoKeyPair): Promise<string> {
  return `${PemConverter.encode(await subtle.exportKey('pkcs8', privateKey), 'PRIVATE KEY')}\n`
}

function pem(cert: X509Certificate): string {
  return `${cert.toString('pem')}\n`
}

/** Positive, so its first bit is 0. */
function serialNumber(): string {
  const bytes = randomBytes(SERIAL_BYTES)
  bytes[0] = (bytes[0]! & 0x7f) | 0x40
  return bytes.toString('hex')
}

/** From a little before now: clocks differ. */
function validity(now: number, days: number) {
  return { notBefore: new Date(now - 300_000), notAfter: new Date(now + days * DAY_MS) }
}

function nameType(host: string): GeneralNameType {
  return /^[\d.]+$/.test(host) || host.includes(':') ? 'ip' : 'dns'
}
