/** Two KMEs over a real simulated fibre: from pulses to keys that two applications share. */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../node/clock.ts'
import { KME_FILES } from '../../node/kme/create.ts'
import { createLogger } from '../../node/logger.ts'
import { createMetrics } from '../../node/metrics.ts'
import type { QkdKey } from '../../node/qkd/key-provider.ts'
import type { LinkRecorder } from '../../node/qkd/link-recorder.ts'
import { openNodeQkd } from '../../node/qkd/node-qkd.ts'
import { toHex } from '../../src/bytes.ts'
import type { JsonObject } from '../../src/json.ts'
import { until } from '../support/cluster.ts'
import { Kmes } from '../support/kmes.ts'

describe('two KMEs with a fibre between them', function () {
  this.timeout(60_000)
  let kmes: Kmes
  before(async () => {
    kmes = await Kmes.start()
    await kmes.keyed()
  })
  after(() => kmes?.close())

  it('give both applications the same key, whoever asks first, and each key once', async () => {
    const [alpha, bravo] = [await kmes.client('alpha'), await kmes.client('bravo')]
    for (let i = 0; i < 5; i++) {
      const key = await alpha.getKey('bravo', 256)
      assert.deepEqual(await bravo.getKeyById('alpha', key.id, 256), key)
      const back = await bravo.getKey('alpha', 256)
      assert.deepEqual(await alpha.getKeyById('bravo', back.id, 256), back)
      if (i > 0) continue
      await assert.rejects(alpha.getKeyById('bravo', back.id, 256), { code: 'key-not-found' })
    }
    const { storedKeys, keySizeBits, simulated, linkState, qber } = await alpha.status('bravo')
    assert.ok(storedKeys > 20 && keySizeBits === 256 && simulated && linkState === 'OK')
    assert.ok(qber! > 0.005 && qber! < 0.02, `${qber}`)
  })

  it('keep their keys over a restart, and never give one twice', async () => {
    const alpha = await kmes.client('alpha')
    const seen = new Set<string>()
    const take = async () => {
      const key = await alpha.getKey('bravo', 256)
      assert.ok(!seen.has(toHex(key.bytes)) && !seen.has(key.id))
      seen.add(toHex(key.bytes)).add(key.id)
      return key
    }
    for (let i = 0; i < 3; i++) await take()
    const before = kmes.kme('bravo').links()[0]!.keysStored
    for (const name of ['bravo', 'alpha']) {
      await kmes.stop(name)
      await kmes.start(name)
      await until(() => kmes.names.every((each) => kmes.kme(each).links()[0]!.health === 'OK'))
      const again = await kmes.client('alpha')
      const bravo = await kmes.client('bravo')
      let key = await again.getKey('bravo', 256).catch(() => undefined)
      await until(async () => {
        key ??= await again.getKey('bravo', 256).catch(() => undefined)
        return key !== undefined
      })
      assert.ok(!seen.has(toHex(key!.bytes)))
      assert.deepEqual(await bravo.getKeyById('alpha', key!.id, 256), key)
    }
    // Keys that were just being agreed on may go with a restart; a store that did not last would be all of them.
    const kept = kmes.kme('bravo').links()[0]!.keysStored
    assert.ok(kept >= before / 2, `${kept} of ${before}`)
  })

  it('agree again when one of them has lost its store', async () => {
    for (const name of ['bravo', 'alpha']) {
      await kmes.stop(name)
      await rm(join(kmes.folder(name), 'store'), { recursive: true })
      await kmes.start(name)
      const counts = () => kmes.names.map((each) => kmes.kme(each).links()[0]!.keysStored)
      await until(() => kmes.names.every((each) => kmes.kme(each).links()[0]!.health === 'OK'))
      await until(() => counts()[0] === counts()[1] && counts()[0]! > 0)
      const [alpha, bravo] = [await kmes.client('alpha'), await kmes.client('bravo')]
      let key: QkdKey | undefined
      await until(async () => {
        key ??= await alpha.getKey('bravo', 256).catch(() => undefined)
        return key !== undefined
      })
      assert.deepEqual(await bravo.getKeyById('alpha', key!.id, 256), key)
    }
  })

  it('see an eavesdropper within one block: an alarm, no keys given; and recover', async () => {
    const [alpha, bravo] = ['alpha', 'bravo'].map((name) => kmes.kme(name))
    // By the KME that does not host the fibre.
    assert.ok(bravo!.disturb('kme-alpha', { eavesdropped: 0.5 }))
    await until(() => [alpha, bravo].every((kme) => kme!.links()[0]!.health === 'ALARM'), 40_000)
    const [link] = alpha!.links()
    assert.ok(link!.qber! > 0.11 && link!.qber! < 0.16, `${link!.qber}`)
    assert.equal(link!.blocks.qber_abort, 1)
    assert.ok(link!.keysStored > 0)
    await assert.rejects((await kmes.client('alpha')).getKey('bravo', 256), { code: 'no-keys' })
    assert.equal((await (await kmes.client('alpha')).status('bravo')).storedKeys, 0)
    assert.ok(alpha!.restore('kme-bravo'))
    await until(() => [alpha, bravo].every((kme) => kme!.links()[0]!.health === 'OK'), 40_000)
    await (await kmes.client('alpha')).getKey('bravo', 256)
  })
})

describe('a fibre whose pools are full', function () {
  this.timeout(60_000)
  const KEYS_MAX = 16
  let kmes: Kmes
  before(async () => {
    kmes = await Kmes.start({ keysMax: KEYS_MAX })
    await kmes.keyed()
  })
  after(() => kmes?.close())

  const link = (name = 'alpha') => kmes.kme(name).links()[0]!
  const blocks = () => Object.values(link().blocks).reduce((sum, count) => sum + count, 0)
  /** Several times as long as a block takes: what rests has made none. */
  const rests = async () => {
    const before = blocks()
    await sleep(3_000)
    return blocks() === before
  }

  it('makes no blocks until a quarter of the keys is used', async () => {
    assert.equal(link().keysStored, KEYS_MAX)
    assert.ok(await rests())
    assert.equal(link().health, 'OK')
    const [alpha, bravo] = [await kmes.client('alpha'), await kmes.client('bravo')]
    const use = async () => {
      const { id } = await alpha.getKey('bravo', 256)
      await bravo.getKeyById('alpha', id, 256)
    }
    for (let i = 0; i < KEYS_MAX / 4 - 1; i++) await use()
    assert.ok(await rests())
    await use()
    await until(() => link().keysStored === KEYS_MAX)
    assert.ok(await rests())
  })

  it('shows all the same who listens, and rests again when nobody does', async () => {
    assert.ok(kmes.kme('bravo').disturb('kme-alpha', { eavesdropped: 0.5 }))
    await until(() => ['alpha', 'bravo'].every((name) => link(name).health === 'ALARM'), 20_000)
    assert.equal(await rests(), false)
    assert.ok(kmes.kme('alpha').restore('kme-bravo'))
    await until(() => link().health === 'OK', 20_000)
    await until(() => link().keysStored === KEYS_MAX)
    await until(rests, 30_000)
  })

  it('is recorded by its changes of state, not by each connection and each new key', async () => {
    const folder = kmes.folder('alpha')
    const qkd = await openNodeQkd({
      name: 'alpha',
      dir: folder,
      config: {
        mode: 'prefer',
        server: (await kmes.tls('alpha')).url,
        ca: KME_FILES.ca,
        cert: KME_FILES.saeCert,
        key: KME_FILES.saeKey,
      },
      clock: systemClock,
      logger: createLogger('alpha', 'silent'),
      metrics: createMetrics({ node: 'alpha', ledger: 'example.org/x' }),
    })
    try {
      const recorded: unknown[] = []
      const recorder = {
        record: (kind: string, _link: string, { to }: JsonObject) => recorded.push([kind, to]),
      }
      qkd.attach(recorder as unknown as LinkRecorder, () => [])
      const link = { peer: 'bravo', dialled: true } as const
      for (let i = 0; i < 3; i++) {
        qkd.onEvent({ ...link, kind: 'opened', state: 'FRESH', ms: 1 })
        qkd.onEvent({ ...link, kind: 'rekeyed', qkd: true })
        qkd.onEvent({ ...link, kind: 'closed' })
      }
      qkd.onEvent({ ...link, kind: 'state', from: 'FRESH', to: 'AGED', reason: 'no-keys' })
      qkd.onEvent({ ...link, kind: 'opened', state: 'FRESH', ms: 1 })
      assert.deepEqual(recorded, [
        ['state', 'FRESH'],
        ['state', 'AGED'],
        ['state', 'FRESH'],
      ])
    } finally {
      await qkd.close()
    }
  })
})
