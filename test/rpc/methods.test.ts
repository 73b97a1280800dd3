import assert from 'node:assert/strict'
import { Ajv } from 'ajv'
import { METHODS } from '../../node/rpc/methods.ts'
import { SubscriptionEvent } from '../../node/rpc/schemas.ts'
import type { Bringer } from '../../node/service.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import {
  BLOCK,
  CHECKPOINT,
  call,
  ENTRY,
  ENVELOPE,
  EVENT,
  HASH,
  type Harness,
  MEMBERSHIP,
  post,
  startServer,
  TOKEN,
  VIEW,
} from './fake-service.ts'

const ajv = new Ajv({ strict: true, allowUnionTypes: true })
const AUTHORIZED = { authorization: `Bearer ${TOKEN}` }
const CI = { name: 'ci', sources: ['*'], types: ['*'] }

describe('the methods', () => {
  let server: Harness
  before(async () => {
    server = await startServer()
  })
  after(() => server.close())

  /** The result, checked against the schema that rpc.discover publishes, and what the service was asked. */
  async function ask(method: string, params: object, headers?: Record<string, string>) {
    const { result, error } = await call(server.url, method, params, headers)
    assert.equal(error, undefined, JSON.stringify(error))
    const schema = METHODS.find(({ name }) => name === method)!.result
    const fits: boolean = ajv.validate(schema, result)
    assert.ok(fits, ajv.errorsText())
    return { result, asked: server.service.asked.at(-1)! }
  }

  async function refusal(method: string, params: object): Promise<string> {
    const { error } = await call(server.url, method, params)
    assert.equal(error?.code, -32602, JSON.stringify(params))
    assert.equal(error.data.code, 'invalid-params')
    return error.message
  }

  it('entry.submit hands on the entry as it was signed', async () => {
    const { result, asked } = await ask('entry.submit', { entry: ENVELOPE, wait: 'final', timeoutMs: 5 })
    const [name, entry, ...rest] = asked as [string, Entry, ...unknown[]]
    const [wait, timeoutMs, bringer] = rest as [string, number, Bringer]
    assert.deepEqual([name, wait, timeoutMs], ['submit', 'final', 5])
    assert.deepEqual([bringer.name, bringer.known], ['127.0.0.1', false])
    assert.match(bringer.connection ?? '', /^127\.0\.0\.1 \d+$/)
    assert.deepEqual(entry.bytes, ENTRY.bytes)
    assert.deepEqual(result, { id: ENTRY.id, status: 'final', index: 7, height: 2 })
  })

  it('entry.submit reads an envelope in any order of its members, and waits for ordered by default', async () => {
    const { signatures, payloadType, payload } = ENVELOPE
    const { result, asked } = await ask('entry.submit', { entry: { signatures, payloadType, payload } })
    assert.equal(result.id, ENTRY.id)
    assert.deepEqual(asked.slice(2, 4), ['ordered', 30_000])
    const [{ sig }] = signatures as [{ sig: string }]
    const foreign = {
      payload,
      payloadType,
      extra: 1,
      signatures: [{ sig: sig.replaceAll('+', '-').replaceAll('/', '_') }],
    }
    const unnamed = await ask('entry.submit', { entry: foreign })
    assert.equal(unnamed.result.id, ENTRY.id)
    const known = await ask('entry.submit', { entry: ENVELOPE }, AUTHORIZED)
    assert.deepEqual(
      { ...(known.asked[4] as Bringer), connection: '' },
      { name: 'token ci', connection: '', known: true },
    )
  })

  it('event.submit takes one event or several, in the name of the token', async () => {
    const one = await ask('event.submit', { event: EVENT }, AUTHORIZED)
    assert.deepEqual(one.asked, ['submitEvents', [EVENT], CI, 'ordered', 30_000])
    const two = await ask(
      'event.submit',
      { event: [EVENT, EVENT], wait: 'pending', timeoutMs: 0 },
      AUTHORIZED,
    )
    assert.deepEqual(two.asked, ['submitEvents', [EVENT, EVENT], CI, 'pending', 0])
  })

  it('event.submit keeps the numbers of events as they were spelled, also in a batch of calls', async () => {
    const data = '{"run":12345678901234567890,"z":-0,"p":1.10,"k":1}'
    const text = JSON.stringify(EVENT).replace('{"ok":true}', data)
    const params = `{"event":[${text}],"timeoutMs":1.0e3}`
    const submit = `{"jsonrpc":"2.0","id":1.0,"method":"event.submit","params":${params}}`
    const other = '{"jsonrpc":"2.0","id":2,"method":"entry.query","params":{"limit":3.0}}'
    for (const body of [submit, `[${other},${submit}]`]) {
      server.service.asked.length = 0
      const { json } = await post(server.url, body, AUTHORIZED)
      assert.ok(
        [json].flat().every(({ result }) => result !== undefined),
        JSON.stringify(json),
      )
      const [, events, , , timeoutMs] = server.service.asked.find(([name]) => name === 'submitEvents')!
      assert.equal(JSON.stringify(events), `[${text}]`)
      assert.equal(timeoutMs, 1_000)
    }
    const stranger = await post(server.url, submit)
    assert.equal(stranger.json.error.data.code, 'unauthorized')
  })

  it('submission.status does not wait unless asked', async () => {
    assert.deepEqual((await ask('submission.status', { id: HASH })).asked, [
      'submission',
      HASH,
      'pending',
      30_000,
    ])
    const { asked } = await ask('submission.status', { id: HASH, wait: 'final', timeoutMs: 1 })
    assert.deepEqual(asked, ['submission', HASH, 'final', 1])
  })

  it('entry.get takes an id or an index', async () => {
    assert.deepEqual((await ask('entry.get', { id: HASH })).asked, ['entry', { id: HASH }])
    const { result, asked } = await ask('entry.get', { index: 0 })
    assert.deepEqual(asked, ['entry', { index: 0 }])
    assert.deepEqual(result, VIEW)
  })

  it('entry.query hands on what it was given, times in ms, and pages by an opaque cursor', async () => {
    const params = {
      source: 'a',
      type: 'b',
      subject: 'c',
      from: '2026-01-31T12:00:00Z',
      to: '2026-01-31T14:00:00.5+02:00',
      order: 'asc',
      limit: 3,
    }
    const { result, asked } = await ask('entry.query', params)
    const from = Date.UTC(2026, 0, 31, 12)
    const query = { source: 'a', type: 'b', subject: 'c', from, to: from + 500, order: 'asc', limit: 3 }
    assert.deepEqual(asked, ['query', query])
    const next = await ask('entry.query', { ...params, cursor: result.next })
    assert.deepEqual(next.asked, ['query', { ...query, after: 7 }])
  })

  it('entry.query answers the newest 50 by default, and no cursor at the end', async () => {
    assert.deepEqual((await ask('entry.query', {})).asked, ['query', { order: 'desc', limit: 50 }])
    const last = await startServer({ query: async () => ({ entries: [] }) })
    assert.deepEqual((await call(last.url, 'entry.query', {})).result, { entries: [] })
    await last.close()
  })

  it('hands on the plain questions', async () => {
    assert.deepEqual((await ask('entry.prove', { id: HASH })).asked, ['bundle', HASH, undefined])
    assert.deepEqual((await ask('entry.prove', { id: HASH, since: 3 })).asked, ['bundle', HASH, 3])
    const block = await ask('block.get', { height: 2 })
    assert.deepEqual([block.asked, block.result], [['block', 2], BLOCK])
    assert.deepEqual((await ask('checkpoint.get', {})).result, CHECKPOINT)
    const inclusion = await ask('proof.inclusion', { index: 0, size: 2 })
    assert.deepEqual([inclusion.asked, inclusion.result], [['inclusion', 0, 2], { hashes: [HASH] }])
    const consistency = await ask('proof.consistency', { from: 2, to: 2 })
    assert.deepEqual(
      [consistency.asked, consistency.result],
      [['consistency', 2, 2], { hashes: [HASH, HASH] }],
    )
    const sync = await ask('ledger.sync', { from: 3 }, { authorization: `Bearer ${TOKEN}` })
    assert.deepEqual([sync.asked, sync.result], [['sync', 3], { answer: 'AQID' }])
    // The whole ledger is for those whom the node knows.
    assert.equal((await call(server.url, 'ledger.sync', { from: 3 })).error.data.code, 'unauthorized')
    assert.deepEqual((await ask('policy.get', {})).result, { policy: 'quorum q\n' })
    const updates = await ask('policy.updates', { since: 3 })
    assert.deepEqual([updates.asked, updates.result], [['policyUpdates', 3], { updates: 'AAA=' }])
    assert.equal((await ask('node.status', {})).result.name, 'north')
    const { result } = await ask('cluster.status', {})
    assert.deepEqual([result.sequence, result.nodes[0].kind, result.nodes[0].online], [0, 'validator', true])
    assert.deepEqual((await ask('membership.get', {})).result, MEMBERSHIP)
    assert.deepEqual((await ask('genesis.get', {})).result, { id: HASH, genesis: 'AAAA' })
  })

  it('describe the events of subscriptions as they are', () => {
    const events = [
      { topic: 'blocks', block: BLOCK },
      { topic: 'checkpoints', checkpoint: CHECKPOINT },
      { topic: 'entries', entry: VIEW },
    ]
    for (const event of events) assert.ok(ajv.validate(SubscriptionEvent, event), ajv.errorsText())
  })

  describe('refuse parameters in a sentence', () => {
    const CASES: [method: string, params: object, sentence: RegExp][] = [
      ['entry.submit', {}, /^The parameter "entry" is missing\.$/],
      ['entry.submit', { entry: 'x' }, /^"entry" must be object\.$/],
      ['entry.submit', { entry: [] }, /^"entry" must be object\.$/],
      ['entry.submit', { entry: {}, wait: 'soon' }, /^"wait" must be one of: pending, ordered, final\.$/],
      ['entry.submit', { entry: {}, timeoutMs: 60_001 }, /^"timeoutMs" must be <= 60000\.$/],
      ['entry.submit', { entry: {}, timeoutMs: -1 }, /^"timeoutMs" must be >= 0\.$/],
      ['entry.submit', { entry: {}, timeoutMs: '5' }, /^"timeoutMs" must be integer\.$/],
      ['entry.submit', { entry: {}, timeout: 5 }, /^There is no parameter "timeout"\.$/],
      ['event.submit', { event: [] }, /^"event" must NOT have fewer than 1 items\.$/],
      ['event.submit', { event: [1] }, /^"event\/0" must be object\.$/],
      ['event.submit', { event: new Array(513).fill({}) }, /^"event" must NOT have more than 512 items\.$/],
      ['entry.get', {}, /^Give exactly one/],
      ['entry.get', { id: HASH, index: 1 }, /^Give exactly one/],
      ['entry.get', { id: HASH.toUpperCase() }, /^"id" is not spelled/],
      ['entry.get', { index: 1.5 }, /^"index" must be integer\.$/],
      ['entry.get', { index: 2 ** 53 }, /^"index" must be <= 9007199254740991\.$/],
      ['entry.query', { limit: 0 }, /^"limit" must be >= 1\.$/],
      ['entry.query', { limit: 201 }, /^"limit" must be <= 200\.$/],
      ['entry.query', { order: 'up' }, /^"order" must be one of: asc, desc\.$/],
      ['entry.query', { source: '' }, /^"source" must NOT have fewer than 1 characters\.$/],
      ['entry.query', { from: '2026-01-31' }, /^"from" is not spelled/],
      ['entry.query', { from: '2026-02-30T00:00:00Z' }, /^"from" is no RFC 3339 time/],
      ['entry.query', { to: '2026-13-01T00:00:00Z' }, /^"to" is no RFC 3339 time/],
      ['entry.query', { to: '2026-01-01T25:00:00Z' }, /^"to" is no RFC 3339 time/],
      ['entry.query', { cursor: '7' }, /^"cursor" must be/],
      ['entry.query', { cursor: 'asc.7' }, /^"cursor" must be .* same order/],
      ['entry.query', { cursor: 'desc.07' }, /^"cursor" must be/],
      ['entry.query', { cursor: 'desc.' }, /^"cursor" must be/],
      ['proof.inclusion', { index: 2, size: 2 }, /^"index" must be less than "size"\.$/],
      ['proof.consistency', { from: 3, to: 2 }, /^"from" must not exceed "to"\.$/],
      ['block.get', { height: -1 }, /^"height" must be >= 0\.$/],
    ]
    for (const [method, params, sentence] of CASES) {
      it(`${method} ${JSON.stringify(params).slice(0, 60)}`, async () => {
        const before = server.service.asked.length
        assert.match(await refusal(method, params), sentence)
        assert.equal(server.service.asked.length, before)
      })
    }
  })
})
