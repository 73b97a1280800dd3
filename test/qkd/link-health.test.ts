/** What an operator sees of a link, block by block. */
import assert from 'node:assert/strict'
import { type Health, LinkHealth } from '../../src/qkd/link-health.ts'
import type { BlockReport } from '../../src/qkd/protocol.ts'

function report(result: BlockReport['result'], qber = 0.01): BlockReport {
  const test = [14_000, 8_000, 2_000] as const
  const testErrors = [14_000 * qber, 8_000 * qber, 2_000 * qber] as const
  return {
    result,
    counts: { key: [80_000, 40_000, 11_072], test, testErrors },
    qber,
    qberUpperBound: qber + 0.02,
    leakedBits: 0,
    secretBits: 0,
  }
}

function seen(...reports: (BlockReport | undefined)[]): Health[] {
  const link = new LinkHealth(131_072)
  return reports.map((each) => link.see(each))
}

describe('the health of a link', () => {
  it('is an alarm at once when someone intercepts everything, and down after two such blocks', () => {
    assert.deepEqual(
      seen(report('ok'), report('qber_abort', 0.25), report('qber_abort', 0.25), report('ok')),
      ['OK', 'ALARM', 'DOWN', 'OK'],
    )
  })

  it('is down at once when hardly any light arrives', () => {
    const counts = { key: [20, 10, 5], test: [5, 2, 1], testErrors: [2, 1, 0] } as const
    const dark = { ...report('no_key', 0.5), counts }
    assert.deepEqual(seen(report('ok'), dark, report('ok')), ['OK', 'DOWN', 'OK'])
  })

  it('is down after three blocks in a row without a key, whatever the reasons', () => {
    assert.deepEqual(seen(report('no_key'), report('verify_fail'), undefined), ['WARN', 'WARN', 'DOWN'])
    assert.deepEqual(seen(report('no_key'), report('no_key'), report('ok'), report('no_key')).at(-1), 'WARN')
  })

  it('warns of an error rate that is unusual for this link, and does not get used to it', () => {
    const usual = Array.from({ length: 5 }, () => report('ok', 0.01))
    // Five standard deviations of 24,000 bits at 1 % are 0.35 %, and a little more for what is usual.
    assert.deepEqual(
      seen(...usual, report('ok', 0.0125), report('ok', 0.0145), report('ok', 0.0145)).slice(5),
      ['OK', 'WARN', 'WARN'],
    )
    assert.deepEqual(seen(report('ok', 0.05)), ['OK'], 'the first block says what is usual')
  })

  it('is good while nobody has room for keys', () => {
    assert.deepEqual(seen(report('pool_full'), report('pool_full')), ['OK', 'OK'])
  })
})
