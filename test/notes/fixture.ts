/** A ledger of a few validators with fixed keys, for tests of notes and proofs. */
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { utf8 } from '../../src/bytes.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import { Frontier } from '../../src/merkle/frontier.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import { inclusionPath } from '../../src/merkle/proof.ts'
import { assembleCertificate } from '../../src/notes/certificate.ts'
import type { Checkpoint } from '../../src/notes/checkpoint.ts'
import { cosignatureKey, signCosignature } from '../../src/notes/cosignature.ts'
import type { NoteSignature } from '../../src/notes/note.ts'
import type { Policy } from '../../src/notes/policy.ts'

export const ORIGIN = 'audit.example/payments'
export const TIME = 1_790_000_000

export interface Validator {
  readonly name: string
  readonly signer: Signer
}

const validator = (name: string, seed: number): Validator => ({
  name,
  signer: opensslSuite.signer('ML-DSA-44', new Uint8Array(32).fill(seed)),
})

export const VALIDATORS = [
  validator('ada', 1),
  validator('bob', 2),
  validator('cyd', 3),
  validator('dee', 4),
] as const

/** The policy of a ledger: every key once as the log and once as a witness, and the threshold. */
export function policyOf(threshold: number, validators: readonly Validator[] = VALIDATORS): Policy {
  const url = (name: string) => `https://${name}.example/`
  return {
    logs: validators.map(({ name, signer }) => ({
      key: cosignatureKey(ORIGIN, signer.publicKey),
      url: url(name),
    })),
    witnesses: validators.map(({ name, signer }) => ({
      name,
      key: cosignatureKey(`${ORIGIN}/${name}`, signer.publicKey),
      url: url(name),
    })),
    groups: [{ name: 'validators', threshold, members: validators.map(({ name }) => name) }],
    quorum: 'validators',
  }
}

/** The log's line by the first of `validators`, then a cosignature by each, a second apart. */
export function linesOf(checkpoint: Checkpoint, validators: readonly Validator[]): Promise<NoteSignature[]> {
  return Promise.all([
    signCosignature(validators[0]!.signer, ORIGIN, checkpoint, TIME),
    ...validators.map(({ name, signer }, i) =>
      signCosignature(signer, `${ORIGIN}/${name}`, checkpoint, TIME + 1 + i),
    ),
  ])
}

/** A ledger with these entries, certified by these validators. */
export async function certified(entries: readonly Uint8Array[], validators: readonly Validator[]) {
  const nodes = new Map<string, Uint8Array>()
  const tree = new Frontier()
  for (const entry of entries) {
    tree.append(leafHash(entry), (level, index, hash) => nodes.set(`${level}/${index}`, hash))
  }
  const checkpoint: Checkpoint = { origin: ORIGIN, size: tree.size, root: tree.root() }
  return {
    checkpoint,
    certificate: assembleCertificate(checkpoint, await linesOf(checkpoint, validators)),
    path: (index: number) => inclusionPath(index, tree.size, (level, at) => nodes.get(`${level}/${at}`)!),
  }
}

/** Entries as the ledger holds them in shape: DSSE envelopes in canonical JSON. */
export function entriesOf(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) =>
    utf8(
      `{"payload":"${btoa(`{"n":${i}}`)}","payloadType":"application/cloudevents+json",` +
        `"signatures":[{"keyid":"k","sig":"AAAA"}]}`,
    ),
  )
}
