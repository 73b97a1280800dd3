/** What `npm start` shows beside the figures: commands that may be copied as they stand. */
import assert from 'node:assert/strict'
import { clusterLines } from '../../scripts/support/panel.ts'

describe('the view of npm start', () => {
  it('recommends no verification under the policy that came with the proof', () => {
    const feed = { total: 1, submitted: 1, final: 1, firstId: 'ab'.repeat(32) }
    const row = { name: 'alpha', url: 'http://127.0.0.1:8480', status: undefined, links: [] }
    const lines = clusterLines([row], feed, { token: 'qat_x', policyPath: '/tmp/net/policy' }).join('\n')
    assert.match(lines, new RegExp(`npx qat prove ${feed.firstId} --rpc http://127.0.0.1:8480 --out proof`))
    assert.match(lines, /npx qat verify proof --policy \/tmp\/net\/policy$/m)
  })
})
