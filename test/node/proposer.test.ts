/** What a leader keeps out of its blocks: one CloudEvent is recorded once, whoever signed it and whenever it came. */
import assert from 'node:assert/strict'
import type { Block as RaftBlock } from '../../consensus/types.ts'
import { Pool } from '../../node/core/pool.ts'
import { Proposer, type ProposerPorts } from '../../node/core/proposer.ts'
import { Unapplied } from '../../node/core/unapplied.ts'
import { toHex } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import { decodeBlock } from '../../src/ledger/block.ts'
import { genesisState } from '../../src/ledger/chain.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import { blankSigner, blockOn, entryOf, exampleGenesis, nodeSigner } from '../ledger/fixture.ts'

const NOTHING = { leaf: undefined, event: undefined }

describe('a leader', () => {
  /** The same event, once by its submitter and once by another gateway: two leaves, of which one may stand. */
  let first: Entry
  let second: Entry
  let other: Entry
  before(async () => {
    first = await entryOf({ id: 'build-1' })
    second = await entryOf({ id: 'build-1' }, nodeSigner)
    other = await entryOf({ id: 'build-2' })
  })

  /** A leader with this in its pool, in the one block of its log that is not applied, and in its chain. */
  async function propose(pooled: readonly Entry[], inLog: readonly Entry[], inChain: readonly Entry[]) {
    const state = genesisState(await exampleGenesis())
    const pool = new Pool()
    for (const entry of pooled) pool.add(entry)
    const overtaken: string[] = []
    const proposed: RaftBlock[] = []
    const store = {
      state,
      tip: { hash: state.hash, height: 0 },
      hasLeaves: async () => [],
      recorded: async (entries: readonly Entry[]) =>
        entries.map(({ claims }) => {
          const index = inChain.findIndex((entry) => entry.claims[0]!.id === claims[0]!.id)
          return index < 0 ? NOTHING : { leaf: undefined, event: index }
        }),
    } as unknown as ProposerPorts['store']
    const unapplied = new Unapplied(store, pool, { verify: async () => true } as never)
    const block = await blockOn(state, inLog)
    unapplied.add(block, inLog)
    const raft = {
      needsOpening: false,
      tail: { hash: block.id, height: 1 },
      term: 1,
      canPropose: () => proposed.length === 0,
    }
    const driver = { raft, propose: (made: RaftBlock) => ({ ok: proposed.push(made) > 0 }) }
    const ports = {
      name: 'ada',
      keyid: keyId(nodeSigner.publicKey),
      signer: blankSigner(nodeSigner),
      driver,
      pool,
      unapplied,
      store,
    }
    const clock = { now: () => state.time, elapsed: () => 0 }
    const onOvertaken = ({ id }: Entry) => overtaken.push(id)
    const failed = (error: unknown) => assert.fail(String(error))
    new Proposer({ ...ports, clock, onOvertaken, onFatal: failed } as unknown as ProposerPorts).kick()
    for (let hop = 0; hop < 20; hop++) await new Promise(setImmediate)
    const ids = proposed.flatMap(({ body }) => decodeBlock(body).leafHashes.slice(0, -1))
    return { proposed: ids.map(toHex), overtaken }
  }

  it('proposes what is new', async () => {
    assert.deepEqual(await propose([second, other], [], []), {
      proposed: [second.id, other.id],
      overtaken: [],
    })
  })

  it('leaves an entry waiting while a block with its event is on its way', async () => {
    assert.deepEqual(await propose([second, other], [first], []), { proposed: [other.id], overtaken: [] })
  })

  it('gives an entry up once its event is recorded under another id', async () => {
    assert.deepEqual(await propose([second, other], [], [first]), {
      proposed: [other.id],
      overtaken: [second.id],
    })
  })
})
