/** `qat member` against a ledger that judges changes by the real rules and keeps nothing else. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { writeKeyFile } from '../../node/crypto/keyfile.ts'
import { keyId } from '../../src/crypto/keys.ts'
import { RefusedError } from '../../src/errors.ts'
import { encodeChange } from '../../src/ledger/change.ts'
import { signEntry } from '../../src/ledger/entry.ts'
import { encodeMember, type Member } from '../../src/ledger/member.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { ALICE, adminSigner, CI, exampleEntry, LEDGER, signerOf } from '../ledger/fixture.ts'
import { BELLA, BELLA_SEED, type FakeLedger, FOUR, N5, startLedger } from './fake-ledger.ts'
import { qat, scratch } from './run-qat.ts'

const seed = (byte: number) => new Uint8Array(32).fill(byte)
const GATEWAY: Member = { ...CI, name: 'gateway-n2', key: signerOf('ML-DSA-65', 91).publicKey }

describe('qat member', function () {
  this.timeout(60_000)
  const { path } = scratch()
  const ledgers: FakeLedger[] = []
  const serve = async (...args: Parameters<typeof startLedger>) => {
    const ledger = await startLedger(...args)
    ledgers.push(ledger)
    return ledger
  }
  before(async () => {
    await writeKeyFile(path('alice.key'), 'ML-DSA-65', seed(1))
    await writeKeyFile(path('bella.key'), 'ML-DSA-65', seed(BELLA_SEED))
    await writeKeyFile(path('other.key'), 'ML-DSA-65', seed(99))
    for (const member of [N5, CI]) await save(member)
  })
  after(() => Promise.all(ledgers.map((ledger) => ledger.close())))

  const save = (member: Member, file = `${member.name}.json`) => writeFile(path(file), encodeMember(member))
  const member = ({ url }: FakeLedger, ...args: string[]) => qat(['member', ...args, '--rpc', url])
  const alice = () => ['--admin-key', path('alice.key')]
  const two = () => serve([ALICE, BELLA, ...FOUR], { cosigners: 3, adminQuorum: 2 })

  it('list shows who is a member, and the quorums', async () => {
    const ledger = await serve([ALICE, ...FOUR, N5, CI])
    const { code, stdout } = await member(ledger, 'list')
    assert.equal(code, 0)
    assert.match(
      stdout,
      new RegExp(`^Ledger +${LEDGER}\nChanges +0\nCosigners +3 of 4 validators [^\n]+; 1 may be down`),
    )
    assert.match(stdout, /\nAdmins +1 of 1 must sign a change\n\nNAME +KIND +TEAM +KEY /)
    assert.match(stdout, new RegExp(`\nn5 +learner +payments +${keyId(N5.nodeKey)} +/dns4/[^\n]+ https://`))
    assert.match(stdout, new RegExp(`\nci +submitter +payments +${keyId(CI.key)} +dev.cdevents`))
    const { json } = await member(ledger, 'list', '--json')
    assert.deepEqual(json()[0], ledger.service.membership())
  })

  it('record makes the record of a submitter and of an admin from public keys', async () => {
    const made = await qat(['keygen', '--out', path('ci.key'), '--public', path('ci.jwk')])
    assert.equal(made.code, 0)
    const common = ['--name', 'ci', '--team', 'web', '--key', path('ci.jwk')]
    const patterns = ['--source', '/ci/*', '/cd/*', '--type', '*']
    const submitter = await qat(['member', 'record', '--kind', 'submitter', ...common, ...patterns])
    const { kind, sources, types } = submitter.json()[0]!
    assert.deepEqual([kind, sources, types], ['submitter', ['/ci/*', '/cd/*'], ['*']])
    const admin = await qat(['member', 'record', '--kind', 'admin', ...common])
    assert.deepEqual(Object.keys(admin.json()[0]!), ['kind', 'name', 'team', 'key'])
  })

  it('add admits a submitter, says before what that does, and waits until it is final', async () => {
    const ledger = await serve()
    const { code, stdout, stderr } = await member(ledger, 'add', path('ci.json'), ...alice())
    assert.equal(code, 0)
    assert.match(
      stderr,
      /^Change 1 of audit.example\/payments adds ci of team payments as a submitter: it signs entries\.\n\n/,
    )
    assert.match(stderr, new RegExp(`\nKey +|^Key +${keyId(CI.key)} \\(ML-DSA-65\\)`, 'm'))
    assert.match(stderr, /\nCosigners +3 of 4 validators make an entry final; 1 may be down, as before\n/)
    assert.match(stderr, new RegExp(`\nSigned by ${keyId(ALICE.key)}\\. Waiting until it is final\\.\n$`))
    assert.doesNotMatch(stderr, /Warning/)
    assert.match(stdout, /\nChange +1, final\nEntry +[0-9a-f]{64}\nIndex +7\nBlock +2\n$/)
    assert.deepEqual(ledger.membership().submitters, [CI])
  })

  it('add admits a node as a learner and promotes it once it has caught up', async () => {
    const ledger = await serve()
    ledger.heights.set('n5', [0, 40, 80, 100])
    const { code, stderr, json } = await member(ledger, 'add', path('n5.json'), ...alice(), '--json')
    assert.equal(code, 0)
    assert.match(stderr, /n5 is at block 0 of 100\.\n/)
    assert.match(stderr, /n5 has caught up\.\n/)
    assert.match(stderr, /makes the learner n5 of team payments a validator/)
    assert.match(
      stderr,
      /\nCosigners +4 of 5 validators make an entry final; 1 may be down \(before: 3 of 4 val/,
    )
    const said = json().map(({ sequence, kind, cosigners, status }) => [sequence, kind, cosigners, status])
    assert.deepEqual(said, [
      [1, 'learner', 3, 'final'],
      [2, 'validator', 4, 'final'],
    ])
    assert.equal(ledger.membership().validatorByName.get('n5')?.kind, 'validator')
  })

  it('add goes on with a learner that is there, and tries again while the cluster says that it lags', async () => {
    const ledger = await serve([ALICE, ...FOUR, N5])
    const lags = () => new RefusedError('not-caught-up', 'n5 lags.')
    ledger.refusals.push(lags(), lags())
    const { code, json } = await member(
      ledger,
      'add',
      path('n5.json'),
      ...alice(),
      '--cosigners',
      '5',
      '--json',
    )
    assert.deepEqual([code, ledger.refusals.length, json().length], [0, 0, 1])
    assert.deepEqual(
      ledger.changes.map(({ sequence, cosigners }) => [sequence, cosigners]),
      [[1, 5]],
    )
  })

  it('can be repeated: what is in force is not asked for again, whoever asked for it', async () => {
    const ledger = await serve()
    const steps: [string[], string][] = [
      [['add', path('n5.json')], 'n5'],
      [['promote', 'n5'], 'n5'],
      [['add', path('ci.json')], 'ci'],
      [['replace', path('ci.json')], 'ci'],
    ]
    for (const [args, name] of steps) {
      await member(ledger, ...args, ...alice())
      const before = ledger.changes.length
      const { code, stdout, stderr } = await member(ledger, ...args, ...alice())
      assert.deepEqual([code, stderr, ledger.changes.length], [0, '', before])
      assert.equal(stdout, `${name} is a member with this record already: there was nothing to change.\n`)
    }
    const other = await member(ledger, 'add', path('n5.json'), ...alice(), '--learner-only')
    assert.match(other.stderr, /n5 is a validator already/)
    // The one before was killed when its promotion was on its way, and that comes first.
    const race = await serve([ALICE, ...FOUR, N5])
    const late = await member(race, 'promote', 'n5', ...alice(), '--out', path('late.json'))
    assert.equal(late.code, 0)
    race.heights.set('n5', [0, 0, 0, 0, 100])
    const again = member(race, 'add', path('n5.json'), ...alice(), '--json')
    assert.equal((await member(race, 'submit', path('late.json'))).code, 0)
    const { code, json } = await again
    assert.deepEqual([code, json()[0]?.unchanged, race.changes.length], [0, true, 1])
    const overtaken = await serve()
    overtaken.refusals.push(new RefusedError('stale-change', 'It is in force.'))
    const stale = await member(overtaken, 'add', path('ci.json'), ...alice())
    assert.deepEqual([stale.code, /It is in force/.test(stale.stderr)], [1, true])
  })

  it('says what a change would do, and neither signs nor sends it, in a dry run', async () => {
    const ledger = await serve()
    for (const args of [
      ['add', path('n5.json')],
      ['remove', 'n2'],
    ]) {
      const { code, stderr, json } = await member(ledger, ...args, ...alice(), '--dry-run', '--json')
      assert.deepEqual([code, json().length, json()[0]?.dryRun, ledger.changes.length], [0, 1, true, 0])
      assert.match(
        stderr,
        /^Change 1 of audit\.example\/payments .*\n\nThis was a dry run: nothing was signed/s,
      )
    }
  })

  it('add stops at the learner if told to, or when it does not catch up in time', async () => {
    const ledger = await serve()
    assert.equal((await member(ledger, 'add', path('n5.json'), ...alice(), '--learner-only')).code, 0)
    assert.deepEqual(ledger.membership().learners, [N5])
    ledger.offline.add('n5')
    const late = await member(ledger, 'add', path('n5.json'), ...alice(), '--timeout', '1.2')
    assert.equal(late.code, 3)
    assert.match(late.stderr, /Waiting for n5 to appear: start it/)
    assert.match(
      late.stderr,
      /qat: n5 is a learner, but not online after 1\.2 s\. Once [^\n]+ promote n5 [^\n]+\n$/,
    )
    ledger.offline.clear()
    assert.equal((await member(ledger, 'promote', 'n5', ...alice())).code, 0)
    assert.equal(ledger.membership().validators.length, 5)
  })

  it('remove adapts a default quorum, warns, and says what is left behind', async () => {
    const ledger = await serve([ALICE, ...FOUR, GATEWAY])
    const { code, stderr } = await member(ledger, 'remove', 'n2', ...alice())
    assert.equal(code, 0)
    assert.match(stderr, /^Change 1 of [^ ]+ removes n2, a validator of team payments\.\n/)
    assert.match(
      stderr,
      /\nWarning: No validator may fail: while one of them is down, nothing becomes final\.\n/,
    )
    assert.match(stderr, /To end that: qat member remove gateway-n2\n$/)
    assert.deepEqual([ledger.membership().cosigners, ledger.membership().leaving], [3, 'n2'])
    assert.equal((await member(ledger, 'remove', 'gateway-n2', ...alice())).code, 0)
  })

  it('remove keeps a quorum that was chosen, or takes another one, and refuses too small a one', async () => {
    for (const [cosigners, afterwards] of [
      [3, 3],
      [4, 3],
    ] as const) {
      const chosen = await serve([ALICE, ...FOUR], { cosigners, adminQuorum: 1 })
      assert.equal((await member(chosen, 'remove', 'n2', ...alice())).code, 0)
      assert.equal(chosen.membership().cosigners, afterwards)
    }
    const small = await serve()
    const { code, stderr } = await member(small, 'remove', 'n2', ...alice(), '--cosigners', '1')
    assert.equal(code, 1)
    assert.match(stderr, /More than half of the validators must cosign/)
    assert.equal(small.changes.length, 0)
    const fewer = await member(small, 'remove', 'n2', ...alice(), '--cosigners', '2')
    assert.match(fewer.stderr, /Warning: 2 of 3 cosigners is less than the default of 3/)
    assert.equal(small.membership().cosigners, 2)
  })

  it('remove refuses to bring the cluster to a standstill unless forced to', async () => {
    const ledger = await serve()
    ledger.offline.add('n3')
    const refused = await member(ledger, 'remove', 'n2', ...alice(), '--json')
    assert.deepEqual([refused.code, refused.errorCode()], [1, 'would-stand-still'])
    assert.match(
      refused.stdout,
      /Of 3 validators only 2 would be online \(not n3\), and the ledger needs 3 to go on\. Start/,
    )
    assert.equal(ledger.changes.length, 0)
    // The one that is down may always go.
    assert.equal((await member(ledger, 'remove', 'n3', ...alice())).code, 0)
    ledger.offline.add('n4')
    const forced = await member(ledger, 'remove', 'n2', ...alice(), '--force')
    assert.equal(forced.code, 0)
    assert.match(
      forced.stderr,
      /Warning: Of 2 validators only 1 would be online \(not n4\), and the ledger needs 2 to go on\.\n/,
    )
  })

  it('refuses to sign the record of a node that nobody could reach, and says what is wrong with it', async () => {
    const ledger = await serve()
    const [n4] = FOUR.slice(3)
    const faults = [
      [{ peerId: '12D3KooWnobody' }, /"12D3KooWnobody" is no peer id/],
      ...[
        '/ip4/10.0.0.9',
        '/ip4/10.0.0.999/tcp/1',
        '/ip4/10.0.0.9/udp/1',
        '/dns4/n5.example/tcp/0',
        '/dns4/n5.example/tcp/70000',
        '/tcp/1',
        `/ip4/10.0.0.9/tcp/1/p2p/${n4!.peerId}`,
        '/nonsense',
      ].map(
        (address) => [{ addresses: [n4!.addresses[0]!, address] }, /is no address such as \/ip4/] as const,
      ),
    ] as const
    for (const [fault, why] of faults) {
      await save({ ...n4!, ...fault, kind: 'learner' }, 'faulty.json')
      const ended = await member(ledger, 'replace', path('faulty.json'), ...alice(), '--json')
      assert.deepEqual([ended.code, ended.errorCode()], [1, 'bad-change'], JSON.stringify(fault))
      assert.match(
        ended
          .json()
          .map((line) => JSON.stringify(line))
          .join('')
          .replaceAll('\\"', '"'),
        why,
      )
    }
    assert.equal(ledger.changes.length, 0)

    // Nor does a second admin what the first one has signed by other means.
    const what = { put: { ...N5, peerId: 'nobody' } }
    const quorums = { cosigners: 3, adminQuorum: 2 }
    const change = encodeChange({ ledger: LEDGER, sequence: 1, ...quorums, what })
    await writeFile(path('slip.json'), (await signEntry(PAYLOAD_TYPES.change, change, adminSigner)).bytes)
    const second = await qat([
      'member',
      'sign',
      path('slip.json'),
      '--admin-key',
      path('bella.key'),
      '--json',
    ])
    assert.deepEqual([second.code, second.errorCode()], [1, 'bad-change'])
  })

  it('replace shows what was, and leaves the kind of a node as it is', async () => {
    const ledger = await serve()
    const moved = { ...FOUR[3]!, addresses: ['/ip4/10.0.0.9/tcp/9480'], kind: 'learner' } as const
    await save(moved, 'moved.json')
    const { code, stderr } = await member(ledger, 'replace', path('moved.json'), ...alice())
    assert.equal(code, 0)
    assert.match(stderr, / replaces the record of n4, a validator of team payments\.\n/)
    assert.match(
      stderr,
      /\nAddresses +\/ip4\/10.0.0.9\/tcp\/9480 \(before: \/dns4\/ada.example\/tcp\/4100\)\n/,
    )
    assert.deepEqual(ledger.membership().validatorByName.get('n4'), { ...moved, kind: 'validator' })
  })

  describe('where two admins must sign', () => {
    it('hands the change from one to the next, and submits it', async () => {
      const ledger = await two()
      const change = path('change.json')
      const made = await member(ledger, 'remove', 'n2', ...alice(), '--out', change)
      assert.equal(made.code, 0)
      assert.match(made.stdout, /change\.json\. 1 more admin must sign it: qat member sign [^\n]+\n$/)
      const early = await member(ledger, 'submit', change, '--json')
      assert.deepEqual([early.code, early.errorCode()], [1, 'not-permitted'])

      // With no network, as an admin with the key in a vault would.
      const signed = await qat(['member', 'sign', change, '--admin-key', path('bella.key')])
      assert.equal(signed.code, 0)
      assert.match(
        signed.stderr,
        /^Change 1 of audit.example\/payments removes n2\.\n\nCosigners +3 validators make /,
      )
      assert.match(signed.stderr, /It was not held against the members in force: that takes --rpc\./)
      assert.match(signed.stdout, /has 2 signatures now\.\n/)
      const again = await qat(['member', 'sign', change, '--admin-key', path('bella.key'), '--json'])
      assert.match(again.stdout, /has signed this change already/)

      assert.equal((await member(ledger, 'submit', change)).code, 0)
      assert.equal(ledger.membership().validators.length, 3)
      // The answer was lost, and somebody tries again.
      const twice = await member(ledger, 'submit', change, '--json')
      assert.deepEqual([twice.code, twice.json()[0]?.status], [0, 'final'])
    })

    it('sign with --rpc says what was before, and knows the admins', async () => {
      const ledger = await two()
      const change = path('known.json')
      await member(ledger, 'add', path('ci.json'), ...alice(), '--out', change)
      const stranger = await member(ledger, 'sign', change, '--admin-key', path('other.key'), '--json')
      assert.deepEqual([stranger.code, stranger.errorCode()], [1, 'unknown-key'])
      const { stderr } = await member(ledger, 'sign', change, '--admin-key', path('bella.key'))
      assert.match(stderr, /adds ci of team payments as a submitter/)
      assert.match(stderr, /Admins +2 of 2 must sign a change, as before\n/)
    })

    it('takes both keys at once, too, and refuses a signature that was tampered with', async () => {
      const ledger = await two()
      const both = [...alice(), '--admin-key', path('bella.key')]
      assert.equal((await member(ledger, 'add', path('ci.json'), ...both)).code, 0)
      const change = path('tampered.json')
      await member(ledger, 'remove', 'ci', ...both, '--out', change)
      const envelope = JSON.parse(await readFile(change, 'utf8'))
      const flipped = Buffer.from(envelope.signatures[1].sig, 'base64')
      flipped[5]! ^= 1
      envelope.signatures[1].sig = flipped.toString('base64')
      await writeFile(change, JSON.stringify(envelope, undefined, 2))
      const { code, stderr } = await member(ledger, 'submit', change)
      assert.equal(code, 1)
      assert.match(stderr, /qat: The signature of bella does not verify/)
    })
  })

  it('refuses in one sentence, before anything is signed', async () => {
    const ledger = await serve([ALICE, BELLA, ...FOUR, N5])
    const strict = await two()
    const alone = await serve()
    await save({ ...N5, nodeKey: FOUR[0]!.nodeKey }, 'stolen.json')
    await save({ ...CI, name: 'n1' }, 'clash.json')
    await writeFile(path('not.json'), '{"kind":"validator"}')
    const cases: [FakeLedger, string[], RegExp][] = [
      [ledger, ['add', path('nothing.json')], /nothing\.json could not be read: there is no such file/],
      [ledger, ['add', path('not.json')], /not\.json is not usable: /],
      [
        ledger,
        ['add', path('stolen.json')],
        /n5 is a learner already\. To change its record: qat member replace/,
      ],
      [ledger, ['add', path('clash.json')], /n1 is a validator already/],
      [strict, ['add', path('stolen.json')], /Two members share the key/],
      [ledger, ['promote', 'alice'], /alice is an admin; only a learner can be promoted/],
      [ledger, ['promote', 'zulu'], /No member has the name zulu\. See: qat member list/],
      [ledger, ['promote', 'n5', '--cosigners', '6'], /More cosigners are asked for than exist/],
      [ledger, ['remove', 'n1'], /is n1 itself, which will stop\. Give --rpc of another node/],
      [ledger, ['remove', 'zulu'], /No member has the name zulu/],
      [alone, ['remove', 'alice'], /alice is the last admin\. Add another one first/],
      [
        strict,
        ['remove', 'bella'],
        /Without bella there is 1 admin, and changes need 2\. Say by --admin-quorum/,
      ],
      [strict, ['remove', 'n2'], /asks 2 admins to sign a change, and 1 key was given\. Write it with --out/],
      [strict, ['remove', 'n2', ...alice()], /alice\.key was given twice/],
      [ledger, ['replace', path('ci.json')], /No member has the name ci/],
      [ledger, ['replace', path('clash.json')], /n1 is a validator and cannot become a submitter/],
      [
        ledger,
        ['remove', 'n2', '--out', path('alice.key')],
        /alice\.key could not be written: it exists already/,
      ],
    ]
    const all = cases.map(async ([asked, args, sentence]) => {
      const { code, stderr } = await member(asked, ...args, ...alice())
      assert.match(stderr, sentence)
      assert.equal(stderr.match(/^qat: /gm)?.length, 1)
      assert.ok([1, 2, 5].includes(code!), `${args} ended with ${code}`)
    })
    await Promise.all(all)
    const stranger = await member(ledger, 'remove', 'n2', '--admin-key', path('other.key'))
    assert.match(stranger.stderr, /other\.key is not the key of an admin of this ledger/)
    assert.deepEqual([ledger.changes, strict.changes, alone.changes], [[], [], []])
  })

  it('passes on what the ledger refuses', async () => {
    const ledger = await serve()
    for (const code of ['bad-change', 'stale-change'] as const) {
      ledger.refusals.push(new RefusedError(code, 'No.'))
      const ended = await member(ledger, 'add', path('ci.json'), ...alice(), '--json')
      assert.deepEqual([ended.code, ended.errorCode()], [1, code])
    }
  })

  it('submit refuses what is no change', async () => {
    const entry = await exampleEntry()
    await writeFile(path('event.json'), entry.bytes)
    const { code, stderr } = await qat(['member', 'submit', path('event.json')])
    assert.equal(code, 5)
    assert.match(stderr, /It holds a signed entry, but not a change of membership/)
  })
})
