/** Chains of real, signed blocks by the one validator of the example ledger, and stores that hold them. */
import type { HardState } from '../../consensus/types.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import type { AppliedBlock } from '../../node/store/derived.ts'
import type { Kv } from '../../node/store/kv.ts'
import { LedgerStore, toRaftBlock } from '../../node/store/ledger-store.ts'
import { utf8 } from '../../src/bytes.ts'
import type { MlDsaAlg, Signer } from '../../src/crypto/suite.ts'
import { extend, genesisState } from '../../src/ledger/chain.ts'
import { encodeChange } from '../../src/ledger/change.ts'
import { type Entry, signEntry } from '../../src/ledger/entry.ts'
import type { Genesis } from '../../src/ledger/genesis.ts'
import { cosignerName } from '../../src/ledger/membership.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { assembleCertificate } from '../../src/notes/certificate.ts'
import { signCosignature } from '../../src/notes/cosignature.ts'
import { blockOn, CI, EVENT, exampleGenesis, LEDGER, TIME } from '../ledger/fixture.ts'

/** The keys of the example, by OpenSSL: ten times faster, and not the same bytes on every run. */
const signer = (alg: MlDsaAlg, seed: number): Signer =>
  opensslSuite.signer(alg, new Uint8Array(32).fill(seed))
const node = signer('ML-DSA-65', 2)
const cosigner = signer('ML-DSA-44', 3)
const submitter = signer('ML-DSA-65', 4)

export interface Chain {
  readonly genesis: Genesis
  /** From height 1 on. */
  readonly blocks: readonly AppliedBlock[]
}

/**
 * `changeAt`: the height of a block that also admits another submitter.
 * @param secondsAt when each block is sealed, in seconds after genesis; by default each a second after the one before
 */
export async function makeChain(
  blocks: number,
  entriesEach = 2,
  changeAt = 0,
  secondsAt?: readonly number[],
): Promise<Chain> {
  const genesis = await exampleGenesis()
  const made: AppliedBlock[] = []
  let state = genesisState(genesis)
  for (let height = 1; height <= blocks; height++) {
    const entries = await Promise.all(
      Array.from({ length: entriesEach }, (_, i) => {
        const event = { ...EVENT, id: `build-${height}-${i}`, subject: `app-${i % 3}` }
        return signEntry(PAYLOAD_TYPES.event, utf8(JSON.stringify(event)), submitter)
      }),
    )
    if (height === changeAt) entries.push(await admission(genesis))
    const seconds = secondsAt?.[height - 1]
    const time = seconds === undefined ? {} : { time: TIME + 1_000 * seconds }
    const block = await blockOn(state, entries, time, node)
    made.push({ block, entries })
    state = extend(state, block, entries)
  }
  return { genesis, blocks: made }
}

function admission({ membership, parameters }: Genesis): Promise<Entry> {
  const put = { ...CI, name: 'cd', key: signer('ML-DSA-65', 77).publicKey }
  const { cosigners, adminQuorum } = membership
  const change = { ledger: parameters.ledger, sequence: 1, cosigners, adminQuorum, what: { put } }
  return signEntry(PAYLOAD_TYPES.change, encodeChange(change), signer('ML-DSA-65', 1))
}

/** As a store remembers a vote. */
export const VOTED: HardState = {
  term: 1,
  vote: { candidate: 'ada', base: { height: 0, term: 0, hash: '00'.repeat(32) } },
  abstains: false,
}

/**
 * A store in which `applied` blocks of the chain are applied and certified and the others wait in the log,
 * as it stands on a validator's disk.
 */
export async function fillStore(kv: Kv, chain: Chain, applied = chain.blocks.length): Promise<LedgerStore> {
  const store = await LedgerStore.open(kv, chain.genesis.block.bytes, { fresh: true })
  for (const [i, block] of chain.blocks.entries()) {
    await store.put({ hardState: VOTED, blocks: [toRaftBlock(block.block)] })
    if (i >= applied) continue
    await store.apply([block])
    const { size, root } = store.tip
    if (store.members.boundaryAbove(size - 1) === size) {
      await store.setCertificate(await certify(size, root), size)
    }
  }
  const { size, root } = store.tip
  await store.setCosigned({ size, root })
  await store.setCertificate(await certify(size, root), size)
  return store
}

/** The certificate of the example ledger's one validator. */
export async function certify(size: number, root: Uint8Array, time = TIME / 1_000 + 60): Promise<string> {
  const checkpoint = { origin: LEDGER, size, root }
  const names = [LEDGER, cosignerName(LEDGER, 'ada')]
  const lines = await Promise.all(names.map((name) => signCosignature(cosigner, name, checkpoint, time)))
  return assembleCertificate(checkpoint, lines)
}
