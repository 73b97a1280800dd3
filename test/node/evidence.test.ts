/** What a node makes of the seals and cosignatures that it sees, over a real store. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Accusation, EvidenceCollector } from '../../node/core/evidence.ts'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { createLogger } from '../../node/logger.ts'
import { LedgerStore, toRaftBlock } from '../../node/store/ledger-store.ts'
import { openLevel } from '../../node/store/level.ts'
import type { Signer } from '../../src/crypto/suite.ts'
import { type Acknowledgement, acknowledgementMessage } from '../../src/ledger/acknowledgement.ts'
import type { Block, SealPlace } from '../../src/ledger/block.ts'
import { verifyEvidence } from '../../src/ledger/contradiction.ts'
import { decodeEvidence, type Evidence, encodeEvidence } from '../../src/ledger/evidence.ts'
import { createGenesis } from '../../src/ledger/genesis.ts'
import { cosignerName } from '../../src/ledger/membership.ts'
import { type Vote, voteMessage } from '../../src/ledger/vote.ts'
import type { Checkpoint } from '../../src/notes/checkpoint.ts'
import { cosignatureKey } from '../../src/notes/cosignature.ts'
import { cosigned } from '../ledger/evidence-fixture.ts'
import {
  ADA,
  ALICE,
  adminSigner,
  blockOn,
  CI,
  cosigner,
  LEDGER,
  nodeSigner,
  PARAMETERS,
  signerOf,
  TIME,
  validatorOf,
} from '../ledger/fixture.ts'

const BOB = validatorOf('bob', 50)
const bobCosigner = signerOf('ML-DSA-44', 51)
const LIE = new Uint8Array(32).fill(0xfe)
/** What the collector found wrong with its own work: nothing, unless a test damages it. */
const complaints: unknown[] = []
const logger = createLogger('test', 'silent')
logger.error = (facts: unknown) => void complaints.push(facts)

describe('the evidence collector', function () {
  this.timeout(30_000)
  let dir: string
  let store: LedgerStore
  let told: Accusation[]
  let now: number
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'qat-evidence-'))
  })
  after(() => rm(dir, { recursive: true, force: true }))

  let stores = 0
  beforeEach(async () => {
    const genesis = await createGenesis({ ...PARAMETERS, cosigners: 2 }, [ALICE, ADA, BOB, CI], [adminSigner])
    store = await LedgerStore.open(await openLevel(join(dir, String(stores++))), genesis.block.bytes)
    told = []
    complaints.length = 0
    now = 0
  })
  afterEach(() => store.close())

  const collector = (changes: { known?: readonly Evidence[]; store?: LedgerStore } = {}) =>
    EvidenceCollector.open({
      store,
      suite: opensslSuite,
      logger,
      elapsed: () => now,
      known: [],
      onEvidence: async (accusation) => {
        told.push(accusation)
      },
      ...changes,
    })
  /** A block on the tip that ada sealed, as others would see it. */
  const sealed = (changes: Partial<SealPlace> = {}, signer: Signer = nodeSigner) =>
    blockOn(store.state, [], changes, signer)
  const grow = async (blocks: number, term = 1) => {
    for (let i = 0; i < blocks; i++) {
      const block = await sealed({ term })
      await store.put({ blocks: [toRaftBlock(block)] })
      await store.apply([{ block, entries: [] }])
    }
  }
  const show = (to: EvidenceCollector, { sealEnvelope, seal }: Block) =>
    to.sawSeal(nodeSigner.publicKey, sealEnvelope, seal)
  /** A cosignature by ada on a tree of this size: true, unless a root is given. */
  const cosign = async (to: EvidenceCollector, size: number, root?: Uint8Array, signer = cosigner) => {
    const name = signer === cosigner ? 'ada' : 'bob'
    const said = await cosigned({
      size,
      root: root ?? (await store.tree.root(size)),
      name: cosignerName(LEDGER, name),
      signer,
    })
    to.sawLine(cosignatureKey(said.line.name, signer.publicKey), said.checkpoint, said.line)
  }
  const accused = async (by: EvidenceCollector) => {
    await by.idle()
    assert.deepEqual(complaints.splice(0), [])
    // Whatever is told of would convince anyone, also after it has been a file.
    for (const { evidence } of told)
      await verifyEvidence(opensslSuite, decodeEvidence(encodeEvidence(evidence)))
    assert.deepEqual(by.accusations.slice(-told.length || Infinity), told)
    return told.map(({ accused, evidence }) => `${accused} ${evidence.kind}`)
  }
  const SEALS = 'ada two-seals'
  const TREES = 'ada two-cosignatures'

  it('sees two seals for one place, once', async () => {
    const node = await collector()
    const [a, b] = [await sealed(), await sealed({ time: TIME + 2_000 })]
    for (const block of [a, b, b, a, await sealed({ time: TIME + 2_001 })]) show(node, block)
    assert.deepEqual(await accused(node), [SEALS])
  })

  it('sees a seal that contradicts an applied block, however long ago', async () => {
    const rival = await sealed({ time: TIME + 2_000 })
    await grow(3)
    const node = await collector()
    show(node, rival)
    assert.deepEqual(await accused(node), [SEALS])
  })

  /** Shows votes and acknowledgements by ada, really signed. */
  const vote = async (to: EvidenceCollector, changes: Partial<Vote> = {}) => {
    const base = { height: 0, term: 0, hash: store.genesis.block.id }
    const said: Vote = { ledger: LEDGER, term: 1, candidate: 'ada', base, ...changes }
    to.sawVote(nodeSigner.publicKey, said, await nodeSigner.sign(voteMessage(said)), said.term)
  }
  const acknowledge = async (to: EvidenceCollector, { id, seal: { term, height } }: Block) => {
    const said: Acknowledgement = { ledger: LEDGER, term, height, hash: id }
    to.sawAcknowledgement(nodeSigner.publicKey, said, await nodeSigner.sign(acknowledgementMessage(said)))
  }

  it('sees two votes, two acknowledgements and a broken candidacy, each once', async () => {
    const node = await collector()
    const [a, b] = [await sealed(), await sealed({ time: TIME + 2_000 })]
    for (let again = 0; again < 2; again++) {
      await vote(node)
      await vote(node, { candidate: 'bob' })
      for (const block of [a, b]) await acknowledge(node, block)
      show(node, await sealed({ previous: LIE }))
    }
    assert.deepEqual(await accused(node), [
      'ada two-votes',
      'ada two-acknowledgements',
      'ada broken-candidacy',
    ])
  })

  it('names whose key it was also when the membership has it no more', async () => {
    const { membership } = store.state
    const later = { ...store.state, membership: { ...membership, validators: [] } }
    const left = new Proxy(store, {
      get: (target, name) => (name === 'state' ? later : Reflect.get(target, name, target)),
    })
    const node = await collector({ store: left })
    await vote(node)
    await vote(node, { candidate: 'bob' })
    assert.deepEqual(await accused(node), ['ada two-votes'])
  })

  it('sees one seal break a candidacy and contradict another seal', async () => {
    const node = await collector()
    await vote(node)
    show(node, await sealed())
    assert.deepEqual(await accused(node), [])
    show(node, await sealed({ previous: LIE }))
    assert.deepEqual(await accused(node), [SEALS, 'ada broken-candidacy'])
  })

  it('holds nothing against a leader that keeps to its candidacy, term after term', async () => {
    const node = await collector()
    for (const term of [1, 2, 4]) {
      const { height, term: baseTerm, hash } = store.state
      await vote(node, { term, base: { height, term: baseTerm, hash } })
      for (let i = 0; i < 3; i++) {
        const block = await sealed({ term })
        show(node, block)
        await acknowledge(node, block)
        await grow(1, term)
      }
    }
    await vote(node, { term: 5, candidate: 'bob' })
    assert.deepEqual(await accused(node), [])
  })

  it('keeps a few pieces of each kind, at places of their own', async () => {
    const node = await collector()
    for (let term = 1; term <= 6; term++) {
      for (const candidate of ['bob', 'ada']) await vote(node, { term, candidate })
      for (const time of [TIME + 1_000, TIME + 2_000]) {
        for (const height of [5, 6]) await acknowledge(node, await sealed({ term, height, time }))
      }
    }
    const found = await accused(node)
    const count = (kind: string) => found.filter((item) => item === `ada ${kind}`).length
    assert.deepEqual([count('two-votes'), count('two-acknowledgements')], [4, 4])
    const again = await collector({ known: told.map(({ evidence }) => evidence) })
    told = []
    for (const candidate of ['bob', 'ada']) await vote(again, { term: 1, candidate })
    await again.idle()
    assert.deepEqual(told, [])
  })

  it('sees through an envelope with more than the one signature', async () => {
    const node = await collector()
    const [a, b] = [await sealed(), await sealed({ time: TIME + 2_000 })]
    const more = { keyid: 'x'.repeat(43), sig: new Uint8Array(2_420) }
    show(node, a)
    node.sawSeal(
      nodeSigner.publicKey,
      { ...b.sealEnvelope, signatures: [...b.sealEnvelope.signatures, more] },
      b.seal,
    )
    assert.deepEqual(await accused(node), [SEALS])
  })

  it('holds nothing against a proposer whose blocks gave way to those of later terms', async () => {
    const node = await collector()
    for (const term of [1, 2, 3]) {
      const block = await sealed({ term, time: TIME + term })
      for (let again = 0; again < 2; again++) show(node, block)
    }
    await grow(1, 4)
    show(node, await blockOn({ ...store.state, height: 0 }, [], { term: 5 }, nodeSigner))
    assert.deepEqual(await accused(node), [])
  })

  it('convicts a proposer that signs one seal twice: these are two blocks', async () => {
    const node = await collector()
    await grow(1)
    const [block] = await store.logFrom(1)
    const hedged = opensslSuite.signer('ML-DSA-65', new Uint8Array(32).fill(2))
    show(node, await sealed({ ...block!.seal }, hedged))
    assert.deepEqual(await accused(node), [SEALS])
  })

  it('sees a false root at a size that the validator has cosigned truly, or beyond', async () => {
    await grow(4)
    for (const [first, second] of [
      ['lie', 'truth'],
      ['truth', 'lie'],
    ]) {
      for (const size of [8, 10]) {
        told = []
        const node = await collector()
        for (const what of [first, second])
          await cosign(node, what === 'lie' ? 8 : size, what === 'lie' ? LIE : undefined)
        assert.deepEqual(await accused(node), [TREES], `${first} first, truth at ${size}`)
      }
    }
  })

  it('keeps a false root in mind until the validator cosigns a true one that reaches it', async () => {
    await grow(2)
    const node = await collector()
    await cosign(node, 8, LIE)
    await cosign(node, 7)
    await cosign(node, 8, undefined, bobCosigner)
    assert.deepEqual(await accused(node), [])
    await grow(1)
    await cosign(node, 9)
    assert.deepEqual(await accused(node), [TREES])
  })

  it('judges what is ahead of its own tree when it gets there', async () => {
    await grow(1)
    const node = await collector()
    await cosign(node, 9, LIE)
    assert.deepEqual(await accused(node), [])
    await grow(3)
    await cosign(node, 10)
    node.treeGrew()
    assert.deepEqual(await accused(node), [TREES])
  })

  it('needs no tree of its own to see two roots of one size', async () => {
    const node = await collector()
    await cosign(node, 1_000, LIE)
    await cosign(node, 1_000, new Uint8Array(32))
    assert.deepEqual(await accused(node), [TREES])
  })

  it('holds nothing against validators that are ahead, behind, late, or repeat themselves', async () => {
    const node = await collector()
    const sizes = [7, 8, 9, 10, 11, 12]
    const lines: [Checkpoint, Signer][] = []
    await grow(sizes.length)
    for (const size of sizes) {
      for (const signer of [cosigner, bobCosigner])
        lines.push([{ origin: LEDGER, size, root: await store.tree.root(size) }, signer])
    }
    const late = await LedgerStore.open(
      await openLevel(join(dir, String(stores++))),
      store.genesis.block.bytes,
    )
    const slow = await collector({ store: late })
    for (const [{ size, root }, signer] of [...lines, ...lines.toReversed()]) {
      await cosign(node, size, root, signer)
      await cosign(slow, size, root, signer)
    }
    for (const block of await store.logFrom(1)) {
      await late.put({ blocks: [toRaftBlock(block)] })
      await late.apply([{ block, entries: [] }])
      slow.treeGrew()
    }
    assert.deepEqual([...(await accused(node)), ...(await accused(slow))], [])
    await late.close()
  })

  it('keeps a few pieces of a liar that never stops, and none of the others is lost for it', async () => {
    await grow(30)
    const node = await collector()
    await cosign(node, 36)
    await cosign(node, 36, undefined, bobCosigner)
    for (let size = 1; size <= 30; size++) await cosign(node, size, LIE)
    for (let i = 0; i < 30; i++) show(node, await sealed({ height: 100 + (i >> 1), time: TIME + i + 2_000 }))
    await cosign(node, 20, LIE, bobCosigner)
    const found = await accused(node)
    const count = (name: string) => found.filter((item) => item === name).length
    assert.deepEqual([count(TREES), count(SEALS), count('bob two-cosignatures')], [4, 4, 1])
  })

  it('does not collect again what an earlier run has kept', async () => {
    await grow(2)
    const see = async (node: EvidenceCollector) => {
      await cosign(node, 8)
      await cosign(node, 8, LIE)
      for (const block of [await sealed(), await sealed({ time: TIME + 2_000 })]) show(node, block)
    }
    const first = await collector()
    await see(first)
    assert.equal((await accused(first)).length, 2)
    const known = told.map(({ evidence }) => evidence)
    const again = await collector({ known })
    told = []
    await see(again)
    await again.idle()
    assert.deepEqual(told, [])
    assert.deepEqual(
      again.accusations.map(({ accused }) => accused),
      ['ada', 'ada'],
    )
  })

  it('leaves aside a kept file that does not hold', async () => {
    const [a, b] = [await sealed(), await sealed({ height: 2 })]
    const known: Evidence = {
      kind: 'two-seals',
      accused: nodeSigner.publicKey,
      statements: [a.sealEnvelope, b.sealEnvelope],
    }
    assert.deepEqual((await collector({ known: [known] })).accusations, [])
  })

  it('accuses nobody when its own disk gives other hashes than were written', async () => {
    await grow(4)
    const tree = {
      size: store.tree.size,
      root: async (size: number) => (size === 8 ? LIE : store.tree.root(size)),
      consistencyPath: (from: number, to: number) => store.tree.consistencyPath(from, to),
    }
    const damaged = new Proxy(store, {
      get: (target, name) => (name === 'tree' ? tree : Reflect.get(target, name, target)),
    })
    const node = await collector({ store: damaged })
    const root = await store.tree.root(8)
    await cosign(node, 8, root)
    await cosign(node, 10)
    await node.idle()
    assert.equal(complaints.splice(0).length, 1)
    assert.deepEqual(await accused(node), [])
  })

  it('has late lines verified a few times a second, those that contradict apart from the rest', async () => {
    await grow(2)
    const node = await collector()
    const key = cosignatureKey(cosignerName(LEDGER, 'ada'), cosigner.publicKey)
    const truth: Checkpoint = { origin: LEDGER, size: 8, root: await store.tree.root(8) }
    const lie = { ...truth, root: LIE }
    const due = async () => [await node.isDue(key, truth), await node.isDue(key, lie)]
    assert.deepEqual(
      [await due(), await due()],
      [
        [true, true],
        [false, false],
      ],
    )
    now += 249
    assert.deepEqual(await due(), [false, false])
    now += 1
    assert.deepEqual(await due(), [true, true])
  })
})
