/** A node that is no member any more, among validators of whom some keep back that it is taken in again. */
import assert from 'node:assert/strict'
import { NothingBeyond } from '../../node/core/nothing-beyond.ts'
import { membershipOf } from '../../src/ledger/membership.ts'
import { ADMINS, FOUNDERS, SUBMITTER } from '../light/changing-ledger.ts'

describe('that there is nothing beyond a membership', () => {
  const four = membershipOf([...ADMINS, ...FOUNDERS, SUBMITTER], { cosigners: 3, adminQuorum: 2 })

  it('is believed when one more says so than may lie, each counted once', () => {
    const beyond = new NothingBeyond()
    assert.deepEqual(
      ['ada', 'ada', 'stranger', 'bob'].map((peer) => beyond.isCertain(peer, four)),
      [false, false, false, true],
    )
  })

  it('is believed of one where the ledger goes on only with all of them', () => {
    assert.equal(new NothingBeyond().isCertain('ada', { ...four, cosigners: 4 }), true)
  })

  it('is asked anew when there was something', () => {
    const beyond = new NothingBeyond()
    assert.equal(beyond.isCertain('ada', four), false)
    const next = { ...four, sequence: four.sequence + 1 }
    assert.equal(beyond.isCertain('bob', next), false)
    assert.equal(beyond.isCertain('ada', next), true)
  })
})
