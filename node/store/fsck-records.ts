/** Checks the single records of a store, its certificates and its pending entries, against the verified chain. */
import type { Certified, HardState } from '../../consensus/types.ts'
import { equalBytes, fromU64, toHex, utf8 } from '../../src/bytes.ts'
import type { SignatureSuite } from '../../src/crypto/suite.ts'
import { errorMessage } from '../../src/errors.ts'
import { decodeEntry } from '../../src/ledger/entry.ts'
import { cosignerName, policyOf } from '../../src/ledger/membership.ts'
import { type Certificate, verifyCertificate } from '../../src/notes/certificate.ts'
import type { Findings } from './finding.ts'
import type { ChainReport } from './fsck-chain.ts'
import { CERTIFICATES, certificateKey, META, pendingKey } from './keys.ts'
import type { Kv, KvRange } from './kv.ts'
import * as records from './records.ts'
import { type Sifted, sift, siftValue } from './sift.ts'

/** The records that a check needs before it goes through the chain; undefined where one is unusable. */
export interface Anchors {
  readonly applied: number | undefined
  readonly logEnd: number | undefined
  readonly hardState: HardState | undefined
  readonly certified: Certified | undefined
  readonly cosigned: records.Checkpointed | undefined
  readonly certificate: string | undefined
}

/** Reads the single records and reports those that are damaged or gone. */
export async function readAnchors(raw: Kv, findings: Findings): Promise<Anchors> {
  const read = async <T>(
    key: Uint8Array,
    kind: 'derived' | 'promise',
    where: string,
    decode: (bytes: Uint8Array) => T,
  ): Promise<T | undefined> => {
    const found = await sift(raw, key)
    if (found.is === 'there') {
      try {
        return decode(found.value)
      } catch (error) {
        findings.add(kind, where, `cannot be read: ${errorMessage(error)}`)
        return undefined
      }
    }
    findings.add(kind, where, found.is === 'missing' ? 'is missing' : 'is damaged', found.is === 'missing')
    return undefined
  }
  const hardState = await read(META.hardState, 'promise', "Raft's term and vote", records.readHardState)
  const certified = await read(META.certified, 'promise', 'the certified block', records.readCertified)
  const cosigned = await read(META.cosigned, 'promise', 'the checkpoint cosigned last', records.readCosigned)
  const logEnd = await read(META.logEnd, 'promise', 'the height of the log', records.readLogEnd)
  const applied = await read(META.applied, 'derived', 'the height of the applied chain', records.readApplied)
  const certificate = await sift(raw, META.certificate)
  reportDamaged(certificate, findings, 'the newest certificate')
  return { applied, logEnd, hardState, certified, cosigned, certificate: textOf(certificate) }
}

/** The tree sizes that records speak of. */
export async function sizesOfInterest(raw: Kv, { cosigned, certificate }: Anchors): Promise<Set<number>> {
  const sizes = new Set<number>()
  if (cosigned) sizes.add(cosigned.size)
  if (certificate !== undefined) sizes.add(sizeOf(certificate) ?? 0)
  for await (const [key] of carefully(raw.range(CERTIFICATES))) sizes.add(fromU64(key, 1))
  return sizes
}

export interface RecordsTask {
  readonly raw: Kv
  readonly findings: Findings
  readonly suite: SignatureSuite
  /** Of the node whose store it is. */
  readonly name: string
  readonly anchors: Anchors
  readonly chain: ChainReport
  /** The store is marked as one that has forgotten: then it is no news that its promises are old. */
  readonly recovering: boolean
}

export async function checkRecords(task: RecordsTask): Promise<void> {
  await checkCertificates(task)
  await checkPromises(task)
  await checkPending(task)
  await checkUnknown(task)
}

async function checkCertificates(task: RecordsTask): Promise<void> {
  const { raw, findings, anchors, chain } = task
  const { members } = chain.walk
  const note = anchors.certificate
  const newest = note === undefined ? undefined : await judge(task, note, 'the newest certificate')
  if (newest) checkOwnLine(task, newest)
  const certified = newest?.checkpoint.size ?? 0
  for (let size = members.boundaryAbove(0); size !== undefined; size = members.boundaryAbove(size)) {
    // One that nothing is certified above is still to come.
    if (certified < size || (await sift(raw, certificateKey(size))).is !== 'missing') continue
    findings.add('certificate', `the certificate of the change at size ${size}`, 'is missing', true)
  }
  for (const key of await keysIn(raw, CERTIFICATES)) {
    const where = `the certificate kept at size ${fromU64(key, 1)}`
    const found = await sift(raw, key)
    reportDamaged(found, findings, where)
    const text = textOf(found)
    if (text === undefined) continue
    if (sizeOf(text) !== fromU64(key, 1)) findings.add('certificate', where, 'is of another size', true)
    else await judge(task, text, where)
  }
}

/** Verifies a certificate against policy and tree; undefined if it does not hold. */
async function judge(task: RecordsTask, note: string, where: string): Promise<Certificate | undefined> {
  const { findings, suite, chain } = task
  const size = sizeOf(note)
  if (size === undefined) {
    findings.add('certificate', where, 'is no signed note')
    return undefined
  }
  const { walk, roots } = chain
  const root = roots.get(size)
  if (size > chain.size) {
    // What the chain could not be followed to has been reported with the chain.
    if (chain.complete) {
      findings.add('promise', where, `is of ${size} leaves; the store holds ${chain.size}`, true)
    }
    return undefined
  }
  let certificate: Certificate
  try {
    const policy = policyOf(walk.genesis.parameters.ledger, walk.members.at(size))
    certificate = await verifyCertificate(suite, policy, note)
  } catch (error) {
    findings.add('certificate', where, `does not hold: ${errorMessage(error)}`)
    return undefined
  }
  if (root && equalBytes(root, certificate.checkpoint.root)) return certificate
  findings.add('fork', where, `vouches for another tree of ${size} leaves than the one of this store`)
  return undefined
}

/** A certificate that carries this node's own line shows what it has signed, whatever its record says. */
function checkOwnLine(
  { name, findings, anchors, chain, recovering }: RecordsTask,
  certificate: Certificate,
): void {
  const { size } = certificate.checkpoint
  const signed = certificate.cosigners.some((cosigner) => cosigner.name === name)
  if (recovering || !signed || size <= (anchors.cosigned?.size ?? 0)) return
  const own = cosignerName(chain.walk.genesis.parameters.ledger, name)
  const what = `is older than the newest certificate, which ${own} has cosigned at size ${size}`
  findings.add('promise', 'the checkpoint cosigned last', what, true)
}

async function checkPromises({ findings, anchors, chain, recovering }: RecordsTask): Promise<void> {
  const { cosigned } = anchors
  if (cosigned) {
    const root = chain.roots.get(cosigned.size)
    if ((chain.complete || cosigned.size <= chain.size) && (!root || !equalBytes(root, cosigned.root))) {
      const what = `is of a tree of ${cosigned.size} leaves that this store does not hold`
      findings.add('promise', 'the checkpoint cosigned last', what, true)
    }
  }
  if (!anchors.hardState || recovering) return
  const { term } = anchors.hardState
  if (term < chain.walk.state.term) {
    const what = `is of term ${term}, older than the newest block, which is of term ${chain.walk.state.term}`
    findings.add('promise', "Raft's term and vote", what, true)
  }
}

async function checkPending({ raw, findings }: RecordsTask): Promise<void> {
  try {
    for await (const [key] of raw.range(PENDING)) {
      const value = await siftValue(raw, key)
      if (!value || !isEntry(value, key))
        findings.add('pending', `entry ${toHex(key.slice(1))}`, 'is damaged')
    }
  } catch (error) {
    findings.add('pending', 'pending entries', `cannot be read through: ${errorMessage(error)}`, true)
  }
}

function isEntry(bytes: Uint8Array, key: Uint8Array): boolean {
  try {
    return equalBytes(decodeEntry(bytes).hash, key.slice(1))
  } catch {
    return false
  }
}

/** Records under keys that no layout has. */
async function checkUnknown({ raw, findings }: RecordsTask): Promise<void> {
  const known = [...'ABCEHIJLMPSTY']
  let from = new Uint8Array(0)
  for (const byte of [...known, undefined]) {
    const to = byte === undefined ? new Uint8Array(64).fill(255) : utf8(byte)
    const [next] = await keysIn(raw, { from, to, limit: 1 })
    if (next) findings.add('derived', `key ${toHex(next)}`, 'is none that a store has', true)
    if (byte !== undefined) from = Uint8Array.of(byte.charCodeAt(0) + 1)
  }
  const meta = new Set(Object.values(META).map(toHex))
  for (const key of await keysIn(raw, { from: utf8('M'), to: utf8('N') })) {
    if (!meta.has(toHex(key))) findings.add('derived', `key ${toHex(key)}`, 'is none that a store has', true)
  }
}

export async function keysIn(raw: Kv, range: KvRange): Promise<Uint8Array[]> {
  const found: Uint8Array[] = []
  for await (const [key] of carefully(raw.range(range))) found.push(key.slice())
  return found
}

export const PENDING = { from: pendingKey(new Uint8Array(0)), to: utf8('Q') }

function reportDamaged(found: Sifted, findings: Findings, where: string): void {
  if (found.is === 'damaged') findings.add('certificate', where, 'is damaged')
}

function textOf(found: Sifted): string | undefined {
  return found.is === 'there' ? records.textOf(found.value) : undefined
}

function sizeOf(note: string): number | undefined {
  try {
    return records.certificateSize(note)
  } catch {
    return undefined
  }
}

/** Ends where LevelDB gives up; whoever counts records of that kind reports it. */
async function* carefully<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* items
  } catch {
    // Reported by the check that reads the same records one by one.
  }
}
