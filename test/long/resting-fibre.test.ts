/** A fibre rests while its pools are full, and wakes for keys and for trouble. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../node/clock.ts'
import { KME_FILES } from '../../node/kme/create.ts'
import { createLogger } from '../../node/logger.ts'
import { createMetrics } from '../../node/metrics.ts'
import type { LinkRecorder } from '../../node/qkd/link-recorder.ts'
import { openNodeQkd } from '../../node/qkd/node-qkd.ts'
import type { JsonObject } from '../../src/json.ts'
import { until } from '../support/cluster.ts'
import { Kmes } from '../support/kmes.ts'

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
