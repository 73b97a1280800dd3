/** Two KMEs over a real simulated fibre: from pulses to keys that two applications share. */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { QkdKey } from '../../node/qkd/key-provider.ts'
import { toHex } from '../../src/bytes.ts'
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
