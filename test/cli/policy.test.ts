/** `qat policy update`, and proofs for whoever has a policy from before a change of the members. */
import assert from 'node:assert/strict'
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import type { BundleFiles, LedgerService } from '../../node/service.ts'
import { fromUtf8 } from '../../src/bytes.ts'
import { policyOf } from '../../src/ledger/membership.ts'
import { BUNDLE_FILES, makeBundle } from '../../src/light/bundle.ts'
import { encodePolicyUpdates, type PolicyUpdate } from '../../src/light/updates.ts'
import { printPolicy } from '../../src/notes/policy.ts'
import { LEDGER } from '../ledger/fixture.ts'
import { ChangingLedger, FOUNDERS, learner, validator } from '../light/changing-ledger.ts'
import { ENTRY, type Harness, startServer } from '../rpc/fake-service.ts'
import { qat, scratch } from './run-qat.ts'

const LEA = learner('lea', 32)

describe('qat policy', () => {
  const { path } = scratch()
  const servers: Harness[] = []
  /** A node with these updates, of which it hands out two at a time. */
  const serve = async (known: readonly PolicyUpdate[], overrides: Partial<LedgerService> = {}) => {
    const policyUpdates = async (since: number) =>
      encodePolicyUpdates(known.filter(({ change }) => change.sequence > since).slice(0, 2))
    const server = await startServer({ policyUpdates, ...overrides })
    servers.push(server)
    return server
  }
  after(() => Promise.all(servers.map((server) => server.close())))

  let founding: string
  let newest: string
  let updates: PolicyUpdate[]
  let ledger: ChangingLedger
  let node: Harness
  before(async () => {
    ledger = await ChangingLedger.found()
    founding = printPolicy(policyOf(LEDGER, ledger.membership))
    updates = []
    for (const what of [
      { put: validator('ada', 30) },
      { put: LEA },
      { put: { ...LEA, kind: 'validator' } },
      { put: { ...FOUNDERS[2], url: 'https://moved.example' } },
      { remove: 'bob' },
      { remove: 'carol' },
    ] as const) {
      updates.push(await ledger.change(what))
    }
    newest = printPolicy(policyOf(LEDGER, ledger.membership))
    node = await serve(updates)
  })
  const update = (file: string, server: Harness, ...args: string[]) =>
    qat(['policy', 'update', '--policy', path(file), '--rpc', server.url, ...args])

  it('update says in plain words what changed, and writes the newest policy in place', async () => {
    await writeFile(path('policy'), founding)
    const { code, stdout, stderr } = await update('policy', node)
    assert.deepEqual([code, stderr], [0, ''])
    for (const line of [
      /^Policy +from change 0 to change 6$/m,
      /^Change 1 +gives the validator ada a new cosigner key \(certified in a tree of \d+\)$/m,
      /^Change 2 +adds the learner lea, or replaces its record /m,
      /^Change 3 +makes lea a validator; from then on 4 of 5 validators make a certificate /m,
      /^Change 4 +replaces the record of the validator cyd, not its cosigner key /m,
      /^Change 5 +removes the validator bob; from then on 3 of 4 validators make a certificate /m,
      /^Change 6 +removes carol, no validator /m,
      /^Quorum +3 of 4 validators$/m,
    ]) {
      assert.match(stdout, line)
    }
    assert.equal(await readFile(path('policy'), 'utf8'), newest)
    const again = await update('policy', node)
    assert.match(again.stdout, /^Policy +up to date, at change 6$/m)
    assert.deepEqual((await readdir(path())).toSorted(), ['policy'])
  })

  it('update leaves the old policy where it is if told where the new one goes, and answers programs', async () => {
    await writeFile(path('old'), founding)
    const { json } = await update('old', node, '--out', path('new'), '--json')
    const [{ changes, ...rest }] = json() as [{ changes: object[] }]
    assert.deepEqual(rest, {
      from: 0,
      to: 6,
      cosigners: 3,
      validators: ['ada', 'cyd', 'dee', 'lea'],
      file: path('new'),
    })
    assert.equal(changes.length, 6)
    assert.equal(await readFile(path('old'), 'utf8'), founding)
    assert.equal(await readFile(path('new'), 'utf8'), newest)
    await update('new', node, '--out', path('copy'))
    assert.equal(await readFile(path('copy'), 'utf8'), newest)
  })

  it('update leaves the policy as it is when what the node says does not hold', async () => {
    await writeFile(path('kept'), founding)
    const alone = await (await ChangingLedger.found()).change({ put: LEA }, { cosigners: [FOUNDERS[0]] })
    for (const [known, step] of [
      [[alone], 'quorum-not-met'],
      [updates.slice(1), 'stale-change'],
    ] as const) {
      const { code, errorCode, stdout } = await update('kept', await serve(known), '--json')
      assert.deepEqual([code, errorCode()], [1, 'verification-failed'])
      assert.match(stdout, new RegExp(`"step":"${step}"`))
      assert.equal(await readFile(path('kept'), 'utf8'), founding)
    }
    const nonsense = await startServer({ policyUpdates: async () => Uint8Array.of(0, 1) })
    servers.push(nonsense)
    assert.equal((await update('kept', nonsense, '--json')).errorCode(), 'bad-answer')
  })

  it('update needs a policy that says which change it follows', async () => {
    await writeFile(path('renamed'), founding.replaceAll(' validators', ' ours'))
    const { code, stderr } = await update('renamed', node)
    assert.equal(code, 5)
    assert.match(stderr, /renamed is not usable: .* needs one group "validators"/)
  })

  it('prove gives whoever has an older policy what leads to that of the proof', async () => {
    const index = ledger.leaves.length
    ledger.append(ENTRY.bytes)
    const proof = await ledger.prove(index)
    const files = makeBundle(ENTRY.bytes, proof, policyOf(LEDGER, ledger.membership))
    const server = await serve(updates, {
      submission: async (id) => ({ id, status: 'final' }),
      // As a node of an earlier release answers: without records.
      bundle: async (id) =>
        ({
          id,
          entry: fromUtf8(files.entry),
          proof: fromUtf8(files.proof),
          policy: fromUtf8(files.policy),
        }) as BundleFiles,
    })
    await writeFile(path('mine'), founding)
    const prove = (out: string, ...args: string[]) =>
      qat(['prove', '7', '--out', path(out), '--rpc', server.url, '--json', ...args])
    const verify = (out: string, ...args: string[]) =>
      qat(['verify', path(out), '--policy', path('mine'), ...args])

    const three = await prove('three')
    assert.deepEqual(three.json()[0]!.files, ['entry.dsse.json', 'entry.tlog-proof', 'policy'])
    assert.match((await verify('three', '--json')).stdout, /"step":"no-log-signature"/)

    const four = await prove('four', '--policy', path('mine'))
    assert.deepEqual(four.json()[0]!.files, [...(three.json()[0]!.files as string[]), 'policy-updates'])
    // It asks for a certificate that this policy can come to, the oldest.
    assert.deepEqual(server.service.asked.filter(([what]) => what === 'bundle').at(-1), [
      'bundle',
      ENTRY.id,
      0,
    ])
    const { code, stdout } = await verify('four')
    assert.equal(code, 0)
    assert.match(stdout, /^Change 1 +adds the validator ada, or replaces its record$/m)
    assert.match(stdout, /^Change 5 +removes bob$/m)
    assert.match(stdout, /each time the validators before certified it/)
    const [said] = (await verify('four', '--json')).json()
    assert.deepEqual([said!.policySequence, (said!.changes as object[]).length], [0, 6])
    // Whoever has the newest policy needs no updates.
    await cp(path('four', BUNDLE_FILES.policy), path('newest'))
    const newest = await qat(['verify', path('four'), '--policy', path('newest')])
    assert.equal(newest.code, 0)
    assert.doesNotMatch(newest.stdout, /^Change/m)

    await writeFile(path('four', BUNDLE_FILES.updates), encodePolicyUpdates(updates.slice(1)))
    assert.match((await verify('four', '--json')).stdout, /"step":"stale-change"/)
    // What is there and cannot be read is not taken for absent.
    await mkdir(path('three', BUNDLE_FILES.updates))
    assert.match((await verify('three')).stderr, /policy-updates could not be read: it is a folder/)
  })
})
