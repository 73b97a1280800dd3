/** The key agreement of a link and its records: what two nodes get, and what nobody else does. */
import assert from 'node:assert/strict'
import { QkdError } from '../../node/qkd/key-provider.ts'
import { toHex, utf8 } from '../../src/bytes.ts'
import { FormatError } from '../../src/errors.ts'
import { until } from '../support/cluster.ts'
import { PairedKeys } from '../support/paired-keys.ts'
import { LinkPair, SIGNERS, settle } from './link-pair.ts'

const HELLO = utf8('hello, bravo')

function codeOf(error: unknown): string {
  assert.ok(error instanceof QkdError || error instanceof FormatError, String(error))
  return error.code
}

describe('a link keyed by QKD', function () {
  this.timeout(20_000)
  const pairs: LinkPair[] = []
  const pair = (...args: ConstructorParameters<typeof LinkPair>) => {
    const made = new LinkPair(...args)
    pairs.push(made)
    return made
  }
  afterEach(() => {
    for (const made of pairs.splice(0)) made.close()
  })

  it('opens with a QKD key, and carries bytes both ways', async () => {
    const link = pair()
    assert.deepEqual(await link.open(), [undefined, undefined])
    assert.deepEqual([link.sessions.alpha.state, link.sessions.bravo.state], ['FRESH', 'FRESH'])
    link.send('alpha', HELLO)
    link.send('bravo', utf8('hello, alpha'))
    await settle()
    assert.deepEqual([link.text('bravo'), link.text('alpha')], ['hello, bravo', 'hello, alpha'])
    assert.equal(link.paired.issued.length, 1)
    assert.equal(link.paired.claimed.length, 1)
    const wire = link.wire.map(toHex).join('')
    assert.ok(!wire.includes(toHex(link.paired.issued[0]!)), 'the key went over the wire')
    assert.ok(!wire.includes(toHex(HELLO)))
  })

  it('does not open if the two KMEs give different keys', async () => {
    const link = pair()
    link.paired.spoil = (side, key) => ({
      ...key,
      bytes: side === 'slave' ? key.bytes.map((b) => b ^ 1) : key.bytes,
    })
    const [alpha, bravo] = await link.open()
    assert.deepEqual([codeOf(alpha), codeOf(bravo)], ['handshake', 'handshake'])
  })

  it('does not open on a name that was used before', async () => {
    const paired = new PairedKeys()
    const keys = { alpha: paired, bravo: paired }
    const first = pair({ keys })
    await first.open()
    const used = paired.claimed[0]!
    paired.spoil = (side, key) => (side === 'master' ? { ...key, id: used } : key)
    const [alpha, bravo] = await pair({ keys }).open()
    assert.deepEqual([codeOf(alpha), codeOf(bravo)], ['key-not-found', 'key-not-found'])
  })

  it('does not open for someone who claims another SAE id, or signs by another key', async () => {
    for (const claim of [{ alpha: 'charlie' }, { bravo: 'charlie' }]) {
      const link = pair({ claim })
      const ends = await link.open()
      assert.ok(ends.map(codeOf).includes('sae-mismatch'), String(ends))
      assert.equal(link.paired.issued.length, 0, 'a QKD key was used up')
    }
    for (const signers of [{ alpha: SIGNERS.bravo }, { bravo: SIGNERS.alpha }]) {
      const link = pair({ signers })
      const ends = await link.open()
      assert.deepEqual(ends.map(codeOf), ['handshake', 'handshake'])
      assert.equal(link.paired.claimed.length, 0, 'a QKD key was used up')
    }
  })

  it('does not open if any byte of the agreement is changed, left out or said twice', async () => {
    const reference = pair()
    await reference.open()
    const lengths = { alpha: [] as number[], bravo: [] as number[] }
    const sizes = pair({
      change: (from, frame) => {
        lengths[from].push(frame.length)
        return [frame]
      },
    })
    await sizes.open()
    assert.deepEqual([lengths.alpha.length, lengths.bravo.length], [3, 2])
    for (const from of ['alpha', 'bravo'] as const) {
      for (const [number, length] of lengths[from].entries()) {
        for (const at of [0, 1, Math.floor(length / 3), Math.floor(length / 2), length - 1]) {
          const flip = pair({
            change: (who, frame, n) => {
              if (who === from && n === number) frame[at]! ^= 1
              return [frame]
            },
          })
          const ends = await flip.open(400)
          assert.ok(ends.some(Boolean), `${from} ${number} at ${at}`)
          for (const end of ends) if (end) codeOf(end)
          if (!ends[0]) assert.equal(flip.sessions.bravo.state, 'NONE')
        }
        const without = await pair({ change: (w, f, n) => (w === from && n === number ? [] : [f]) }).open(150)
        assert.ok(without.some(Boolean), `${from} ${number} left out`)
      }
    }
    const twice = await pair({ change: (_w, f) => [f, f] }).open(300)
    assert.ok(twice.some(Boolean))
  })

  for (const [what, spoil] of [
    ['changed', (frame: Uint8Array) => [frame.with(frame.length - 1, frame.at(-1)! ^ 1)]],
    ['of another type', (frame: Uint8Array) => [frame.with(1, 1)]],
    ['of another epoch', (frame: Uint8Array) => [frame.with(0, 1)]],
    ['repeated', (frame: Uint8Array) => [frame, frame]],
    ['cut short', (frame: Uint8Array) => [frame.subarray(0, -1)]],
    ['empty', () => [new Uint8Array(0)]],
  ] as const) {
    it(`closes at a record that is ${what}`, async () => {
      const link = pair()
      await link.open()
      link.setup = { change: (_from, frame) => spoil(frame) }
      link.send('alpha', HELLO)
      await settle()
      assert.equal(codeOf(link.failures.bravo[0]), 'record')
      assert.ok(link.received.bravo.length <= 1)
    })
  }

  it('closes at records that come in another order', async () => {
    const link = pair()
    await link.open()
    const held: Uint8Array[] = []
    link.setup = { change: (_from, frame) => (held.push(frame) === 2 ? held.toReversed() : []) }
    link.send('alpha', HELLO)
    link.send('alpha', HELLO)
    await settle()
    assert.equal(codeOf(link.failures.bravo[0]), 'record')
    assert.equal(link.received.bravo.length, 0)
  })

  it('needs a QKD key if either of the two requires one', async () => {
    for (const policy of [{ alpha: 'prefer' }, { bravo: 'prefer' }, {}] as const) {
      const link = pair({ policy })
      link.paired.stored = 0
      const ends = await link.open()
      assert.deepEqual(ends.map(codeOf), ['no-keys', 'no-keys'])
    }
    const one = pair({ policy: { alpha: 'prefer' }, keys: { bravo: undefined } })
    assert.deepEqual((await one.open()).map(codeOf), ['no-keys', 'no-keys'])
  })

  it('does without only if both prefer, and says so', async () => {
    const policy = { alpha: 'prefer', bravo: 'prefer' } as const
    const dry = pair({ policy })
    dry.paired.stored = 0
    assert.deepEqual(await dry.open(), [undefined, undefined])
    assert.deepEqual([dry.sessions.alpha.state, dry.sessions.bravo.state], ['NONE', 'NONE'])
    // The responder's KME does not know the key: both go on without it.
    const apart = pair({ policy, keys: { bravo: new PairedKeys() } })
    assert.deepEqual(await apart.open(), [undefined, undefined])
    assert.deepEqual([apart.sessions.alpha.state, apart.sessions.bravo.state], ['NONE', 'NONE'])
    apart.send('alpha', HELLO)
    await settle()
    assert.equal(apart.text('bravo'), 'hello, bravo')
  })

  it('gives up on a KME that does not answer, within its time', async () => {
    const link = pair({ limits: { kmeMs: 200 } })
    link.paired.slowMs = 60_000
    const before = performance.now()
    const ends = await link.open()
    assert.deepEqual(ends.map(codeOf), ['kme-unavailable', 'kme-unavailable'])
    assert.ok(performance.now() - before < 1_500)
  })

  it('renews its keys under way, a fresh QKD key each time, and loses no byte', async () => {
    const rounds = Number(process.env.QAT_REKEYS ?? 60)
    const link = pair()
    await link.open()
    const rekeyed = () => link.events.filter(({ kind }) => kind === 'rekeyed').length
    let said = 0
    for (let round = 1; round <= rounds; round++) {
      link.sessions.alpha.rekey()
      while (rekeyed() < 2 * round) {
        for (const from of ['alpha', 'bravo'] as const) link.send(from, utf8(`${said},`))
        said++
        await settle(1)
        assert.deepEqual([...link.failures.alpha, ...link.failures.bravo], [])
      }
    }
    await settle()
    const expected = Array.from({ length: said }, (_, i) => `${i},`).join('')
    assert.equal(link.text('bravo'), expected)
    assert.equal(link.text('alpha'), expected)
    assert.equal(new Set(link.paired.issued.map(toHex)).size, rounds + 1)
    assert.equal(link.paired.claimed.length, rounds + 1)
  })

  it('asks for new keys behind the records that are already sealed', async () => {
    const link = pair({ limits: { records: 1 } })
    await link.open()
    const frames = Array.from({ length: 4 }, () => link.sessions.alpha.seal(HELLO))
    for (const frame of frames) link.carry('alpha', frame)
    await until(() => link.events.some(({ kind }) => kind === 'rekeyed'))
    assert.deepEqual([link.failures.bravo, link.received.bravo.length], [[], 4])
  })

  it('turns AGED without QKD keys, FRESH again with them, and closes when it has been AGED too long', async () => {
    const limits = { checkMs: 10, agedMs: 300 }
    const link = pair({ limits })
    await link.open()
    const states = () => [link.sessions.alpha.state, link.sessions.bravo.state].join()
    link.paired.linkState = 'DOWN'
    await until(() => states() === 'AGED,AGED')
    link.send('alpha', HELLO)
    await settle()
    assert.equal(link.text('bravo'), 'hello, bravo')
    link.paired.linkState = 'OK'
    await until(() => states() === 'FRESH,FRESH')
    const changes = link.events.flatMap((e) => (e.kind === 'state' && e.dialled ? [`${e.from}>${e.to}`] : []))
    assert.deepEqual(changes, ['FRESH>AGED', 'AGED>FRESH'])
    link.paired.linkState = 'DOWN'
    await until(() => link.failures.alpha.length + link.failures.bravo.length > 0)
    assert.equal(codeOf(link.failures.alpha[0] ?? link.failures.bravo[0]), 'no-keys')
  })

  it('renews by time, by bytes and by records', async () => {
    for (const limits of [
      { checkMs: 10, ms: 50 },
      { checkMs: 10, bytes: 1_000 },
      { checkMs: 1_000, bytes: 1_000 },
      { checkMs: 1_000, records: 3 },
    ]) {
      const link = pair({ limits })
      await link.open()
      for (let i = 0; i < 6; i++) link.send('alpha', new Uint8Array(500))
      await until(() => link.events.some(({ kind }) => kind === 'rekeyed'))
    }
  })
})
