/** `qat evidence` on evidence that holds and on evidence that does not, without a node anywhere. */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fromUtf8, utf8 } from '../../src/bytes.ts'
import { canonicalJson, type JsonObject } from '../../src/json.ts'
import { signEntry } from '../../src/ledger/entry.ts'
import { encodeEvidence } from '../../src/ledger/evidence.ts'
import { evidenceEvent } from '../../src/ledger/evidence-event.ts'
import { createGenesis } from '../../src/ledger/genesis.ts'
import { policyOf } from '../../src/ledger/membership.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { encodePolicyUpdates } from '../../src/light/updates.ts'
import { printPolicy } from '../../src/notes/policy.ts'
import {
  exampleBrokenCandidacy,
  exampleTwoAcknowledgements,
  exampleTwoCosignatures,
  exampleTwoSeals,
  exampleTwoVotes,
  FORGED_ROOT,
} from '../ledger/evidence-fixture.ts'
import {
  ALICE,
  adminSigner,
  CI,
  exampleGenesis,
  LEDGER,
  PARAMETERS,
  submitterSigner,
  TIME,
  validatorOf,
} from '../ledger/fixture.ts'
import { ChangingLedger, FOUNDERS, foundingGenesis, signerFor, validator } from '../light/changing-ledger.ts'
import { type Ended, qat, scratch } from './run-qat.ts'

describe('qat evidence', function () {
  this.timeout(60_000)
  const { path } = scratch()
  const FILE = {
    seals: 'seals.json',
    trees: 'trees.json',
    votes: 'votes.json',
    acknowledgements: 'acknowledgements.json',
    candidacy: 'candidacy.json',
  }
  before(async () => {
    const [seals, trees] = [await exampleTwoSeals(), await exampleTwoCosignatures()]
    const { membership, block } = await exampleGenesis()
    const about = { reporter: 'bob', accused: 'ada', ledger: LEDGER, now: TIME }
    const event = utf8(JSON.stringify(evidenceEvent(seals, about)))
    const entry = await signEntry(PAYLOAD_TYPES.event, event, submitterSigner)
    const plain = await signEntry(
      PAYLOAD_TYPES.event,
      utf8(JSON.stringify({ ...JSON.parse(fromUtf8(event)), type: 'x' })),
      submitterSigner,
    )
    const others = [ALICE, validatorOf('eve', 60), CI]
    const strangers = await createGenesis(PARAMETERS, others, [adminSigner])
    const elsewhere = await createGenesis({ ...PARAMETERS, ledger: 'other.example' }, others, [adminSigner])
    const flipped = JSON.parse(fromUtf8(encodeEvidence(trees))) as { prefix: JsonObject }
    flipped.prefix.root = Buffer.from(FORGED_ROOT).toString('hex').replace('fe', 'ff')
    const files: Record<string, Uint8Array | string> = {
      [FILE.seals]: encodeEvidence(seals),
      [FILE.trees]: encodeEvidence(trees),
      [FILE.votes]: encodeEvidence(await exampleTwoVotes()),
      [FILE.acknowledgements]: encodeEvidence(await exampleTwoAcknowledgements()),
      [FILE.candidacy]: encodeEvidence(await exampleBrokenCandidacy()),
      'kept.json': encodeEvidence(await exampleBrokenCandidacy({ height: 9 })),
      'forged.json': canonicalJson(flipped),
      'pretty.json': JSON.stringify(JSON.parse(fromUtf8(encodeEvidence(seals))), undefined, 2),
      'entry.dsse.json': entry.bytes,
      'plain.dsse.json': plain.bytes,
      'got.json': JSON.stringify({
        id: entry.id,
        status: 'final',
        entry: JSON.parse(fromUtf8(entry.bytes)),
        payload: {},
      }),
      'genesis.block': block.bytes,
      'strangers.block': strangers.block.bytes,
      'elsewhere.block': elsewhere.block.bytes,
      policy: printPolicy(policyOf(LEDGER, membership)),
    }
    for (const [name, content] of Object.entries({ ...files, ...(await renewedFiles()) }))
      await writeFile(path(name), content)
    await mkdir(path('node', 'evidence'), { recursive: true })
    await writeFile(path('node', 'evidence', 'two-seals-ada-1.json'), encodeEvidence(seals))
    await writeFile(path('node', 'evidence', 'two-cosignatures-ada-2.json'), files['forged.json']!)
    await writeFile(path('node', 'evidence', 'broken-candidacy-ada-4.json'), files[FILE.candidacy]!)
    await writeFile(path('node', 'evidence', 'two-votes-ada-5.json'), encodeEvidence(await exampleTwoVotes()))
    await writeFile(path('node', 'evidence', 'stopped-3.json'), '{}')
  })

  /** A ledger in which ada has got new keys: its genesis and the change, and votes by either of her keys. */
  async function renewedFiles(): Promise<Record<string, Uint8Array>> {
    const [before, after] = [FOUNDERS[0], validator('ada', 30)]
    const change = await (await ChangingLedger.found()).change({ put: after })
    return {
      'founded.block': (await foundingGenesis()).block.bytes,
      'policy-updates': encodePolicyUpdates([change]),
      'replaced.json': encodeEvidence(await exampleTwoVotes({ candidate: 'bob' }, signerFor(before.nodeKey))),
      'renewed.json': encodeEvidence(await exampleTwoVotes({ candidate: 'bob' }, signerFor(after.nodeKey))),
    }
  }

  const verify = (name: string, ...args: string[]) => qat(['evidence', 'verify', path(name), ...args])
  const genesis = () => ['--genesis', path('genesis.block')]
  const policy = () => ['--policy', path('policy')]
  const step = (ended: Ended) => (ended.json()[0]?.error as JsonObject | undefined)?.facts

  it('says in plain words who signed which two things, and why they exclude each other', async () => {
    const seals = await verify(FILE.seals, ...genesis())
    assert.deepEqual([seals.code, seals.stderr], [0, ''])
    for (const line of [
      /^CONTRADICTION PROVEN\n/,
      /^Accused +ada$/m,
      /ada signed both: two different blocks for height 1 in term 1/,
    ])
      assert.match(seals.stdout, line)
    const trees = await verify(FILE.trees, ...policy())
    assert.deepEqual([trees.code, trees.stderr], [0, ''])
    assert.match(
      trees.stdout,
      /ada signed both: a tree of 5 leaves, and one of 7 leaves that did not grow from it/,
    )
    assert.doesNotMatch(trees.stdout, /give --genesis/)
  })

  it('says of votes, acknowledgements and candidacies what was signed, by the key that genesis knows', async () => {
    const cases: [string, RegExp[]][] = [
      [
        FILE.votes,
        [
          /^Signed 1 +a vote for ada on block 5d985b7d[0-9a-f]{56} of height 1 and term 1$/m,
          /^Signed 2 +a vote for bob on block /m,
          /ada signed both: two different votes in term 2\.\n {4}An honest validator votes once in a term\./,
        ],
      ],
      [
        FILE.acknowledgements,
        [
          /^Signed \d +an acknowledgement of block 5d985b7d[0-9a-f]{56}$/m,
          /ada signed both: acknowledgements of two different blocks of term 1 for height 1\./,
        ],
      ],
      [
        FILE.candidacy,
        [
          /^Signed 1 +a vote for ada on block 5d985b7d/m,
          /^Signed 2 +block [0-9a-f]{64} of 0 entries, at 2026-01-31T12:00:03.000Z by its clock, on block 192b97bc/m,
          /ada signed both: a candidacy for term 2 on a block of height 1, and a block of that term for height 1 /,
        ],
      ],
    ]
    for (const [file, lines] of cases) {
      const { code, stdout, stderr } = await verify(file, ...genesis())
      assert.deepEqual([code, stderr], [0, ''], file)
      for (const line of [/^Accused +ada$/m, ...lines]) assert.match(stdout, line)
    }
    const found = async (file: string) => {
      const [verdict] = (await verify(file, ...genesis(), '--json')).json()
      assert.equal(verdict!.accused, 'ada')
      return verdict!
    }
    const hash = '5d985b7da375c10fee384ed8803edb534a027cf3b1c18eb52769d5b2d01a818a'
    const base = { hash, height: 1, term: 1 }
    const [ada, bob] = [
      { term: 2, candidate: 'ada', base },
      { term: 2, candidate: 'bob', base },
    ]
    assert.deepEqual((await found(FILE.votes)).votes, [ada, bob])
    const { acknowledgements } = await found(FILE.acknowledgements)
    assert.ok((acknowledgements as JsonObject[]).some((said) => said.hash === hash))
    const { vote, seal } = await found(FILE.candidacy)
    const { height, term } = seal as JsonObject
    assert.deepEqual([vote, height, term], [ada, 1, 2])
  })

  it('names nobody without a file that knows the key, and says which would', async () => {
    for (const [file, calledBy] of [
      [FILE.votes, 'gives no name'],
      [FILE.acknowledgements, 'gives no name'],
      [FILE.candidacy, 'calls itself ada'],
      [FILE.seals, 'calls itself ada'],
      [FILE.trees, 'calls itself ada'],
    ] as const) {
      const { code, stdout } = await verify(file)
      assert.equal(code, 0)
      assert.ok(stdout.includes(`whoever holds the key (${calledBy})`), stdout)
      assert.match(stdout, /It does not prove:[\s\S]*(whose|the key is its own): give --genesis/)
    }
    const [found] = (await verify(FILE.trees, '--json')).json()
    assert.deepEqual([found!.ok, found!.accused, found!.claimedName], [true, undefined, 'ada'])
  })

  it('does not take for an answer that a policy knows no key that seals, votes or acknowledges', async () => {
    for (const file of [FILE.seals, FILE.votes, FILE.acknowledgements, FILE.candidacy]) {
      const ended = await verify(file, ...policy(), '--json')
      assert.deepEqual([ended.code, step(ended)], [1, { step: 'unknown-key' }], file)
      const { error } = ended.json()[0] as { error: { message: string } }
      assert.match(error.message, /A policy knows only the keys that cosign.*: give --genesis/)
    }
  })

  it('names a validator by a key that it has had since a change, given the changes since genesis', async () => {
    const updates = ['--updates', path('policy-updates')]
    const founded = ['--genesis', path('founded.block')]
    const without = await verify('renewed.json', ...founded, '--json')
    assert.deepEqual([without.code, step(without)], [1, { step: 'unknown-key' }])
    const { error } = without.json()[0] as { error: { message: string } }
    assert.match(error.message, /If keys have been replaced since, give the changes by --updates/)
    const [found] = (await verify('renewed.json', ...founded, ...updates, '--json')).json()
    assert.deepEqual([found!.ok, found!.accused], [true, 'ada'])
    // Keys that were replaced convict as before.
    const [before] = (await verify('replaced.json', ...founded, ...updates, '--json')).json()
    assert.deepEqual([before!.ok, before!.accused], [true, 'ada'])
    const stranger = await verify(FILE.votes, ...founded, ...updates, '--json')
    assert.deepEqual([stranger.code, step(stranger)], [1, { step: 'unknown-key' }])
    const elsewhere = await verify('renewed.json', ...genesis(), ...updates, '--json')
    assert.equal(elsewhere.code, 1)
    assert.notDeepEqual(step(elsewhere), { step: 'unknown-key' })
    assert.equal((await verify('renewed.json', ...updates)).code, 2)
  })

  it('takes an entry that holds evidence, as a proof has it or as a node answers it', async () => {
    for (const name of ['entry.dsse.json', 'got.json']) {
      const [found] = (await verify(name, ...genesis(), '--json')).json()
      assert.deepEqual([found!.ok, found!.kind, found!.accused], [true, 'two-seals', 'ada'], name)
    }
  })

  it('refuses what does not hold, and says which step failed', async () => {
    const cases: [string, string[], string][] = [
      ['forged.json', [], 'bad-consistency'],
      [FILE.seals, ['--genesis', path('strangers.block')], 'unknown-key'],
      [FILE.trees, ['--genesis', path('strangers.block')], 'unknown-key'],
      [FILE.trees, ['--genesis', path('elsewhere.block')], 'wrong-origin'],
      [FILE.votes, ['--genesis', path('strangers.block')], 'unknown-key'],
      [FILE.acknowledgements, ['--genesis', path('elsewhere.block')], 'wrong-origin'],
      ['kept.json', genesis(), 'no-contradiction'],
      [FILE.trees, [...policy(), '--genesis', path('elsewhere.block')], 'wrong-origin'],
    ]
    for (const [name, args, expected] of cases) {
      const ended = await verify(name, ...args, '--json')
      assert.equal(ended.code, 1)
      assert.equal(ended.errorCode(), 'verification-failed')
      assert.deepEqual(step(ended), { step: expected }, `${name} ${args}`)
    }
    for (const name of ['pretty.json', 'plain.dsse.json', 'policy', 'nothing']) {
      const { code, stderr } = await verify(name)
      assert.equal(code, 5, name)
      assert.match(stderr, /^qat: .*(not usable|could not be read)/)
    }
  })

  it('is used as its help says', async () => {
    const { code, stderr } = await qat(['evidence', 'verify'])
    assert.equal(code, 2)
    assert.match(stderr, /See: qat evidence verify --help/)
  })

  it('lists what a node keeps, and what of it holds', async () => {
    await writeFile(path('node', 'node.json'), '{}')
    const { code, json } = await qat(['evidence', 'list', '--dir', path('node'), '--json'])
    assert.equal(code, 0)
    assert.deepEqual(
      json().map(({ path: file, ok, accused }) => [file, ok, accused]),
      [
        [join(path('node', 'evidence'), 'broken-candidacy-ada-4.json'), true, 'ada'],
        [join(path('node', 'evidence'), 'two-cosignatures-ada-2.json'), false, '-'],
        [join(path('node', 'evidence'), 'two-seals-ada-1.json'), true, 'ada'],
        [join(path('node', 'evidence'), 'two-votes-ada-5.json'), true, 'ada'],
      ],
    )
    await mkdir(path('clean'))
    await writeFile(path('clean', 'node.json'), '{}')
    assert.match((await qat(['evidence', 'list', '--dir', path('clean')])).stdout, /keeps no evidence/)
    for (const dir of [path('nowhere'), path('.')]) {
      const { code, stderr } = await qat(['evidence', 'list', '--dir', dir])
      assert.equal(code, 5)
      assert.match(stderr, /is not the folder of a node: it has no node\.json/)
    }
  })
})
