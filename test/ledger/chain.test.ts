import assert from 'node:assert/strict'
import { toHex } from '../../src/bytes.ts'
import { keyId } from '../../src/crypto/keys.ts'
import { nobleSuite } from '../../src/crypto/noble.ts'
import { type Block, decodeBlock, sealBlock } from '../../src/ledger/block.ts'
import {
  type ChainState,
  checkBlock,
  checkEntry,
  extend,
  genesisState,
  nextPlace,
} from '../../src/ledger/chain.ts'
import { encodeEnvelope } from '../../src/ledger/dsse.ts'
import { decodeEntry, type Entry, verifyAll } from '../../src/ledger/entry.ts'
import { membershipOf } from '../../src/ledger/membership.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import {
  ADA,
  ALICE,
  adminSigner,
  blankSigner,
  blockOn,
  CI,
  cosigner,
  entryOf,
  exampleBlock,
  exampleGenesis,
  nodeSigner,
  refused,
  submitterSigner,
  TIME,
  validatorOf,
} from './fixture.ts'

const NOW = TIME + 2_000
const nothingSeen = () => false

describe('the chain', () => {
  let state: ChainState
  let entries: Entry[]
  const bob = validatorOf('bob', 20)

  before(async () => {
    const genesis = genesisState(await exampleGenesis())
    state = {
      ...genesis,
      membership: membershipOf([ADA, bob, ALICE, CI], { cosigners: 2, adminQuorum: 1 }),
      term: 2,
    }
    entries = await Promise.all(['a', 'b', 'c'].map((id) => entryOf({ id })))
  })

  const next = (
    changes = {},
    leaves: readonly { bytes: Uint8Array; hash: Uint8Array }[] = entries,
    signer = blankSigner(nodeSigner),
  ) => blockOn(state, leaves, { term: 2, ...changes }, signer)
  const check = (
    block: Block,
    { on = state, now = NOW, seen = nothingSeen as (id: string) => boolean } = {},
  ) => checkBlock(on, block, now, seen)
  const refuse = async (code: string, block: Block | Promise<Block>, options = {}) => {
    const made = await block
    assert.throws(() => check(made, options), refused(code))
  }

  it('goes on with a block that takes its place', async () => {
    const block = await next()
    const { entries: read, ...signed } = check(block)
    const signatures = [signed.sealSignature, ...signed.entrySignatures.flat()]
    assert.deepEqual(
      read.map(({ id }) => id),
      entries.map(({ id }) => id),
    )
    assert.deepEqual(
      signatures.map(({ key }) => keyId(key)),
      [nodeSigner, submitterSigner, submitterSigner, submitterSigner].map(({ publicKey }) =>
        keyId(publicKey),
      ),
    )
    const after = extend(state, block, entries)
    assert.deepEqual(
      { ...after, parameters: undefined, membership: undefined },
      {
        height: 1,
        term: 2,
        hash: block.id,
        size: state.size + 4,
        time: TIME + 1_000,
        parameters: undefined,
        membership: undefined,
      },
    )
    const second = await blockOn(after, [], { term: 3, proposer: 'ada' })
    assert.deepEqual(checkBlock(after, second, NOW, nothingSeen).entries, [])
    assert.equal(extend(after, second, []).size, after.size + 1)
  })

  it('hands back signatures that verify, and notices those that do not', async () => {
    const genesis = genesisState(await exampleGenesis())
    const block = decodeBlock((await exampleBlock()).bytes)
    const { sealSignature, entrySignatures } = check(block, { on: genesis })
    assert.equal(entrySignatures.length, 1)
    assert.ok(await verifyAll(nobleSuite, [sealSignature, ...entrySignatures.flat()]))
    const blank = check(await blockOn(genesis, []), { on: genesis })
    assert.ok(!(await verifyAll(nobleSuite, [blank.sealSignature])))
  })

  it('keeps time from running backwards when it asks for the next seal', () => {
    const place = nextPlace({ ...state, time: NOW }, 5, 'bob', TIME)
    assert.deepEqual(place, {
      ledger: state.parameters.ledger,
      height: 1,
      term: 5,
      proposer: 'bob',
      previous: place.previous,
      firstIndex: state.size,
      time: NOW,
    })
    assert.equal(toHex(place.previous), state.hash)
    assert.equal(nextPlace(state, 5, 'bob', NOW).time, NOW)
  })

  describe('refuses a block', () => {
    it('of another ledger', () => refuse('wrong-ledger', next({ ledger: 'audit.example/other' })))
    it('of another height', async () => {
      for (const height of [0, 2]) await refuse('bad-chain', next({ height }))
    })
    it('on another predecessor', () => refuse('bad-chain', next({ previous: new Uint8Array(32) })))
    it('that begins at another index', async () => {
      for (const firstIndex of [state.size - 1, state.size + 1])
        await refuse('bad-chain', next({ firstIndex }))
    })
    it('whose term goes back, and takes the same term or a later one', async () => {
      await refuse('bad-chain', next({ term: 1 }))
      for (const term of [2, 9]) assert.ok(check(await next({ term })))
    })
    it('whose time goes back, and takes the same time', async () => {
      await refuse('bad-time', next({ time: TIME - 1 }))
      assert.ok(check(await next({ time: TIME })))
    })
    it('from the future, beyond the skew that clocks may have', async () => {
      const { clockSkewMs } = state.parameters.limits
      await refuse('bad-time', next({ time: NOW + clockSkewMs + 1 }))
      assert.ok(check(await next({ time: NOW + clockSkewMs })))
      assert.ok(check(await next({ time: NOW + clockSkewMs + 1 }), { now: Number.POSITIVE_INFINITY }))
    })
    it('by someone who is no validator', async () => {
      for (const proposer of ['zoe', 'alice', 'ci', 'genesis'])
        await refuse('not-a-member', next({ proposer }))
    })
    it("under a validator's name with another key: another validator's, its cosigner's, an admin's", async () => {
      await refuse('unknown-key', next({ proposer: 'bob' }))
      for (const signer of [cosigner, adminSigner, submitterSigner])
        await refuse('unknown-key', next({}, entries, blankSigner(signer)))
    })
    it('with more signatures than its proposer’s', async () => {
      const signers = [nodeSigner, adminSigner].map((signer) => ({
        keyid: keyId(signer.publicKey),
        signer: blankSigner(signer),
      }))
      await refuse('unknown-key', sealBlock(nextPlace(state, 2, 'ada', TIME), entries, signers))
    })
    it('with a leaf twice', () => refuse('duplicate-entry', next({}, [...entries, entries[0]!])))
    it('with a leaf that stands in the chain already', () =>
      refuse('duplicate-entry', next(), { seen: (id: string) => id === entries[1]!.id }))
    it('that is larger than this ledger allows, in bytes or entries', async () => {
      const block = await next()
      const on = (limits: Partial<ChainState['parameters']['limits']>) => ({
        ...state,
        parameters: { ...state.parameters, limits: { ...state.parameters.limits, ...limits } },
      })
      await refuse('too-large', block, { on: on({ blockBytes: block.bytes.length - 1 }) })
      await refuse('too-large', block, { on: on({ blockEntries: 2 }) })
      assert.ok(check(block, { on: on({ blockBytes: block.bytes.length, blockEntries: 3 }) }))
    })
    it('with a seal, a member record or genesis among its entries', async () => {
      const { block: genesis } = await exampleGenesis()
      for (const bytes of [...genesis.leaves, (await next()).leaves.at(-1)!]) {
        await refuse('reserved-payload-type', next({}, [{ bytes, hash: leafHash(bytes) }]))
      }
    })
    it('with an entry that is refused by itself', async () => {
      const cases: [string, Entry][] = [
        ['unknown-key', await entryOf({}, adminSigner)],
        ['not-permitted', await entryOf({ source: '/elsewhere' })],
        ['wrong-ledger', await entryOf({ ledger: 'audit.example/other' })],
      ]
      for (const [code, entry] of cases) await refuse(code, next({}, [entries[0]!, entry]))
    })
    it('with leaves that are no entries', async () => {
      for (const [text, code] of [
        ['', 'json-syntax'],
        ['{}', 'missing-field'],
        ['\xff', 'bad-utf8'],
      ] as const) {
        const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0))
        await refuse(code, next({}, [{ bytes, hash: leafHash(bytes) }]))
      }
    })
  })

  it('takes entries that a node has read already from where it keeps them', async () => {
    const block = await next()
    const asked: number[] = []
    const checked = checkBlock(state, block, NOW, nothingSeen, (_, place) => {
      asked.push(place)
      return entries[place]!
    })
    assert.deepEqual(asked, [...entries.keys()])
    assert.equal(checked.entries[0], entries[0])
  })
})

describe('an entry is taken', () => {
  let state: ChainState
  before(async () => {
    state = genesisState(await exampleGenesis())
  })
  const check = async (changes: Parameters<typeof entryOf>[0], signer = submitterSigner) =>
    checkEntry(state, await entryOf(changes, signer))

  it('from a submitter that may speak for its source and its type', async () => {
    const [signed] = await check({})
    assert.equal(keyId(signed!.key), keyId(submitterSigner.publicKey))
    for (const changes of [
      { source: '/ci' },
      { source: 'x/ci/a' },
      { type: 'dev.other' },
      { source: 'in-toto' },
    ]) {
      await assert.rejects(check(changes), refused('not-permitted'))
    }
  })

  it('from no key that is not a submitter’s', async () => {
    for (const signer of [adminSigner, nodeSigner, cosigner])
      await assert.rejects(check({}, signer), refused('unknown-key'))
  })

  it('for this ledger, if it says for which', async () => {
    assert.ok(await check({ ledger: state.parameters.ledger }))
    await assert.rejects(check({ ledger: 'audit.example/other' }), refused('wrong-ledger'))
  })

  it('with one signature', async () => {
    const { envelope } = await entryOf()
    const [signature] = envelope.signatures
    const two = { ...envelope, signatures: [signature!, { ...signature!, keyid: 'A'.repeat(43) }] }
    assert.throws(() => checkEntry(state, decodeEntry(encodeEnvelope(two))), refused('bad-signature'))
  })
})
