/** Who is verified first when there is more to verify than the thread pool can take. */
import assert from 'node:assert/strict'
import { verifyQueue } from '../../node/crypto/verify-queue.ts'
import type { PublicKey, SignatureSuite } from '../../src/crypto/suite.ts'

const KEY: PublicKey = { alg: 'ML-DSA-65', bytes: new Uint8Array(0) }
const NONE = new Uint8Array(0)

describe('the queue of verifications', () => {
  /** A suite whose verifications end one by one, by `finish`; messages say whose they are. */
  const stage = () => {
    const started: string[] = []
    const waiting: (() => void)[] = []
    const suite: SignatureSuite = {
      signer: () => assert.fail('nothing is signed here'),
      verify: (_, message) =>
        new Promise((resolve) => {
          started.push(new TextDecoder().decode(message))
          waiting.push(() => resolve(true))
        }),
    }
    const lanes = verifyQueue(suite)
    const add = (lane: keyof typeof lanes, times: number) => {
      for (let i = 0; i < times; i++) void lanes[lane].verify(KEY, new TextEncoder().encode(lane), NONE)
    }
    const finish = async (times: number) => {
      for (let i = 0; i < times; i++) {
        waiting.shift()?.()
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    return { started, add, finish }
  }

  it('leaves room in the pool', () => {
    const { started, add } = stage()
    add('past', 100)
    assert.equal(started.length, 8)
  })

  it('lets fresh work overtake a thousand signatures of the past', async () => {
    const { started, add, finish } = stage()
    add('past', 1_000)
    add('ordinary', 3)
    add('urgent', 3)
    await finish(8)
    const fresh = started.slice(8).filter((lane) => lane !== 'past')
    assert.deepEqual(fresh, ['urgent', 'urgent', 'urgent', 'ordinary', 'ordinary', 'ordinary'])
  })

  it('gives the past its share when fresh work never ends', async () => {
    const { started, add, finish } = stage()
    add('urgent', 1_000)
    add('past', 1_000)
    await finish(400)
    assert.equal(started.slice(8).filter((lane) => lane === 'past').length, 100)
  })
})
