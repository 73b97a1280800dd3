/** What a submitter is told, at once and when it asks later. */
import assert from 'node:assert/strict'
import { systemClock } from '../../node/clock.ts'
import type { Admitted } from '../../node/core/admission.ts'
import { refusalError } from '../../node/core/forwarding.ts'
import { Pool } from '../../node/core/pool.ts'
import { Submissions, type SubmissionsPorts } from '../../node/core/submissions.ts'
import { Waiters } from '../../node/core/waiters.ts'
import { publicError } from '../../node/rpc/errors.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import { entryOf } from '../ledger/fixture.ts'
import { noMetrics } from '../sim/silent.ts'

describe('submissions', () => {
  let entry: Entry
  let recorded: Entry
  before(async () => {
    entry = await entryOf({ id: 'build-1' })
    recorded = await entryOf({ id: 'build-1', subject: 'other' })
  })

  function node(standing: 'validator' | 'outside' = 'validator') {
    const pool = new Pool()
    const replica = {
      standing,
      certifier: { size: 10 },
      keep: async () => {},
      async submit(submitted: Entry): Promise<Admitted> {
        pool.add(submitted)
        return { outcome: 'admitted' }
      },
    }
    const reader = {
      indexOf: async (id: string) => (id === recorded.id ? 7 : undefined),
      place: async () => ({ height: 3 }),
    }
    const ports = {
      pool,
      waiters: new Waiters(systemClock),
      lifecycle: { replica, suspended: undefined, failed() {} },
      reader: () => reader,
      clock: systemClock,
      metrics: noMetrics,
    }
    const submissions = new Submissions(ports as unknown as SubmissionsPorts)
    /** The leader refuses what was called pending. */
    const refuse = (code: string, duplicateOf?: string) => {
      pool.remove(entry.id)
      const refusal = { id: entry.id, code, message: 'No.' }
      submissions.refused(
        entry.id,
        refusalError(duplicateOf === undefined ? refusal : { ...refusal, duplicateOf }),
      )
    }
    return { pool, submissions, refuse }
  }

  const answer = () => ({ id: recorded.id, status: 'final', index: 7, height: 3, duplicate: true })

  it('answer with the entry that holds the event, when a pending one turns out to be a duplicate', async () => {
    const { submissions, refuse } = node()
    assert.equal((await submissions.submit(entry, 'pending', 1_000)).status, 'pending')
    refuse('duplicate', recorded.id)
    assert.deepEqual(await submissions.reach(entry.id, 'pending', 1_000), answer())
  })

  it('answer so to whoever is waiting, too', async () => {
    const { submissions, refuse } = node()
    await submissions.submit(entry, 'pending', 1_000)
    const waiting = submissions.reach(entry.id, 'final', 5_000)
    setTimeout(() => refuse('duplicate', recorded.id), 20)
    assert.deepEqual(await waiting, answer())
  })

  it('say why an entry that was pending is not recorded, and which one stands in its way', async () => {
    const { submissions, refuse } = node()
    await submissions.submit(entry, 'pending', 1_000)
    refuse('event-conflict', recorded.id)
    await assert.rejects(submissions.reach(entry.id, 'pending', 1_000), {
      code: 'event-conflict',
      facts: { id: recorded.id },
    })
    assert.equal(submissions.refusal(entry.id)?.code, 'event-conflict')
  })

  it('let the leader refuse for any reason, and no caller takes that for a fault of the node', async () => {
    const { submissions, refuse } = node()
    refuse('not-permitted')
    const error = await submissions.reach(entry.id, 'pending', 1_000).catch(publicError)
    assert.ok(error instanceof Error)
    assert.equal(error.data.code, 'not-permitted')
  })

  it('forget a refusal when the entry is taken after all, and the oldest of very many', async () => {
    const { submissions, refuse } = node()
    refuse('not-permitted')
    assert.equal((await submissions.submit(entry, 'pending', 1_000)).status, 'pending')
    assert.equal(submissions.refusal(entry.id), undefined)
    refuse('not-permitted')
    for (let i = 0; i < 5_000; i++)
      submissions.refused(String(i), refusalError({ id: '', code: '', message: '' }))
    assert.equal(submissions.refusal(entry.id), undefined)
  })

  it('are not taken by a node that is outside, whose entries nobody would order', async () => {
    const { pool, submissions } = node('outside')
    for (const stage of ['pending', 'final'] as const) {
      await assert.rejects(submissions.submit(entry, stage, 1_000), {
        code: 'unavailable',
        message: /no member of the ledger under its keys/,
      })
    }
    assert.equal(pool.size, 0)
  })
})
