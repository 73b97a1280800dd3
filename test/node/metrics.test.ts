/** Names as Prometheus wants them: by its own linter where it is installed, and by the rules that were broken once. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createMetrics } from '../../node/metrics.ts'
import { findProgram } from '../support/find-program.ts'

interface Settable {
  readonly labelNames?: readonly string[]
  inc?(labels: Record<string, string>, value: number): void
  set?(labels: Record<string, string>, value: number): void
}

describe('the metrics of a node', () => {
  const metrics = createMetrics({ node: 'alpha', ledger: 'example.org/ledger' })
  let text: string
  before(async () => {
    // The linter passes over what has no value yet.
    for (const metric of metrics.registry.getMetricsAsArray() as unknown as Settable[]) {
      const labels = Object.fromEntries((metric.labelNames ?? []).map((name) => [name, 'x']))
      if (metric.labelNames?.length) (metric.set ?? metric.inc)?.call(metric, labels, 1)
    }
    text = await metrics.text()
  })

  it('are totals exactly if they are counters, and have no units but base units', () => {
    const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(
      ([, name, type]) => [name!, type!] as const,
    )
    assert.ok(types.length > 60)
    for (const [name, type] of types) {
      assert.equal(name.endsWith('_total'), type === 'counter', name)
      assert.doesNotMatch(name, /_(?:bits?|bps|kb|mb|ms|milliseconds|minutes|hours|percent)(?:_|$)/, name)
    }
  })

  it('pass the linter of Prometheus', async function () {
    const promtool = await findProgram('promtool')
    if (!promtool) return this.skip()
    const child = spawn(promtool.path, ['check', 'metrics'], { stdio: ['pipe', 'pipe', 'pipe'] })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk))
    child.stdin.end(text)
    const [code] = await once(child, 'close')
    assert.deepEqual([code, said], [0, ''])
  })
})
