/** What counts as proven, by what a node holds. */
import assert from 'node:assert/strict'
import { type StatementPorts, Statements } from '../../node/core/statements.ts'

describe('the proof that a block is genesis', () => {
  it('holds for genesis under its own term alone, since the term gives a base its rank', () => {
    const store = { genesis: { block: { id: 'genesis' } } }
    const statements = new Statements({ store } as unknown as StatementPorts)
    assert.equal(statements.isGenesis({ height: 0, term: 0, hash: 'genesis' }), true)
    assert.equal(statements.isGenesis({ height: 0, term: 6, hash: 'genesis' }), false)
    assert.equal(statements.isGenesis({ height: 1, term: 0, hash: 'genesis' }), false)
    assert.equal(statements.isGenesis({ height: 0, term: 0, hash: 'other' }), false)
  })
})
