/** Catching up among peers that cannot or will not help. */
import assert from 'node:assert/strict'
import { Puller, type PullerPorts } from '../../node/core/puller.ts'
import { encodeSyncAnswer } from '../../node/core/sync.ts'
import { createLogger } from '../../node/logger.ts'
import { until } from '../support/cluster.ts'

describe('a node that is told of blocks nobody has', () => {
  const nothing = encodeSyncAnswer({ certificate: '', path: [], blocks: [] })
  const puller = (
    request: PullerPorts['network']['request'],
    outside = false,
    tip = { height: 7 },
    time = { now: 1_000 },
  ) => {
    let fatal: unknown
    const ports = {
      network: { peers: () => ['alpha', 'bravo'], request, misbehaved() {} },
      driver: {
        raft: {
          get commit() {
            return tip.height
          },
        },
      },
      store: { tip, members: { newest: { sequence: 0 } } },
      certifier: { size: 0, boundaryDue: false, receiveCertificate: async () => ({ size: 0 }) },
      clock: { after: (_: number, fn: () => void) => setImmediate(fn), elapsed: () => time.now },
      logger: createLogger('test', 'silent'),
      outside,
      onFatal: (error: unknown) => {
        fatal = error
      },
    } as unknown as PullerPorts
    return { puller: new Puller(ports), fatal: () => fatal }
  }

  it('asks every peer a few times and then waits for news', async () => {
    const asked: string[] = []
    const { puller: node, fatal } = puller(async (peer) => {
      asked.push(peer)
      return nothing
    })
    node.pullTo(Number.MAX_SAFE_INTEGER)
    await until(() => asked.length >= 8)
    const before = asked.length
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.ok(asked.length <= before + 1)
    assert.deepEqual(new Set(asked), new Set(['alpha', 'bravo']))
    node.pullTo(9)
    await until(() => asked.length > before + 1)
    assert.equal(fatal(), undefined)
  })

  it('gives up as soon if ordering goes on meanwhile: it is not by pulling that it gets on', async () => {
    let asked = 0
    const tip = { height: 7 }
    const request = async () => {
      // Who asks without end, fails by the count below and not by keeping everything else waiting.
      if (++asked > 100) return new Promise<Uint8Array>(() => {})
      tip.height++
      return nothing
    }
    const { puller: node, fatal } = puller(request, false, tip)
    node.pullTo(2 ** 40)
    await until(() => asked >= 8)
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.ok(asked <= 9, `asked ${asked} times`)
    assert.equal(fatal(), undefined)
  })

  it('asks who does not answer, or answers with garbage, no more for a time', async () => {
    for (const useless of [Promise.reject(new Error('no answer')), Promise.resolve(Uint8Array.of(1, 2, 3))]) {
      const asked: string[] = []
      const { puller: node } = puller((peer) => {
        asked.push(peer)
        return peer === 'alpha' ? useless : Promise.resolve(nothing)
      })
      node.pullTo(9)
      await until(() => asked.length >= 8)
      assert.equal(asked.filter((peer) => peer === 'alpha').length, 1)
    }
  })

  it('asks who answers only just in time no more for a time', async () => {
    const asked: string[] = []
    const time = { now: 1_000 }
    const { puller: node } = puller(
      async (peer) => {
        asked.push(peer)
        if (peer === 'alpha') time.now += 9_500
        return nothing
      },
      false,
      { height: 7 },
      time,
    )
    node.pullTo(9)
    await until(() => asked.length >= 8)
    assert.equal(asked.filter((peer) => peer === 'alpha').length, 1)
  })

  it('takes garbage for an answer of no use', async () => {
    let asked = 0
    const { puller: node, fatal } = puller(async () => {
      asked++
      return Uint8Array.of(asked % 256, 1, 2, 3)
    })
    node.pullTo(8)
    await until(() => asked >= 8)
    assert.equal(fatal(), undefined)
  })

  it('finds that there is no more from outside, whatever it is told of blocks to come', async () => {
    const { puller: node } = puller(
      async () => encodeSyncAnswer({ certificate: 'x', path: [], blocks: [] }),
      true,
    )
    node.pullTo(9)
    const said = [await node.follow(), await node.follow()]
    assert.deepEqual(said.toSorted(), ['alpha', 'bravo'], 'by whom, since one may lie')
  })
})
