import assert from 'node:assert/strict'
import { publicError, RPC_ERRORS, type RpcErrorName } from '../../node/rpc/errors.ts'
import { type LedgerService, ServiceError } from '../../node/service.ts'
import { FormatError, InvariantError, ProofError, QatError, RefusedError } from '../../src/errors.ts'
import { call, ENVELOPE, EVENT, HASH, startServer } from './fake-service.ts'

const throws = (error: unknown) => async (): Promise<never> => {
  throw error
}

interface Scene {
  readonly service?: Partial<LedgerService>
  readonly method: string
  readonly params?: unknown
  /** data of the error; `reference` of an internal one is whatever it is. */
  readonly data: Record<string, unknown>
}

/** One way to meet each error over the wire; the other three stand in dispatch.test.ts and http.test.ts. */
const SCENES: Record<Exclude<RpcErrorName, 'parse-error' | 'invalid-request' | 'rate-limited'>, Scene> = {
  'method-not-found': { method: 'nothing', data: { code: 'method-not-found' } },
  'invalid-params': { method: 'policy.get', params: [1], data: { code: 'invalid-params' } },
  internal: {
    service: { checkpoint: throws(new TypeError('secret path')) },
    method: 'checkpoint.get',
    data: { code: 'internal' },
  },
  refused: {
    service: { submit: throws(new RefusedError('unknown-key', 'No.', { keyid: 'k' })) },
    method: 'entry.submit',
    params: { entry: ENVELOPE },
    data: { code: 'unknown-key', keyid: 'k' },
  },
  malformed: {
    method: 'entry.submit',
    params: { entry: { ...ENVELOPE, payloadType: 'Text' } },
    data: { code: 'bad-field' },
  },
  'not-found': {
    method: 'submission.status',
    params: { id: '00'.repeat(32) },
    data: { code: 'not-found', id: '00'.repeat(32) },
  },
  unauthorized: { method: 'event.submit', params: { event: EVENT }, data: { code: 'unauthorized' } },
  unavailable: {
    service: { submit: throws(new ServiceError('overloaded', 'Full.', { retryAfterMs: 250 })) },
    method: 'entry.submit',
    params: { entry: ENVELOPE },
    data: { code: 'overloaded', retryAfterMs: 250 },
  },
  'event-conflict': {
    service: { submit: throws(new RefusedError('event-conflict', 'Differs.', { id: HASH })) },
    method: 'entry.submit',
    params: { entry: ENVELOPE },
    data: { code: 'event-conflict', id: HASH },
  },
  'not-final': {
    service: { bundle: throws(new ServiceError('not-final', 'Not yet.')) },
    method: 'entry.prove',
    params: { id: HASH },
    data: { code: 'not-final' },
  },
}

describe('JSON-RPC errors', () => {
  for (const [name, { service, method, params, data }] of Object.entries(SCENES)) {
    it(`${RPC_ERRORS[name as RpcErrorName].code} ${name}`, async () => {
      const server = await startServer(service)
      const { error } = await call(server.url, method, params)
      const label = name === 'method-not-found' ? 'none' : method
      const counted = await server.counted(label, data.code as string)
      await server.close()
      const { reference, ...rest } = error.data
      assert.equal(error.code, RPC_ERRORS[name as RpcErrorName].code)
      assert.deepEqual(rest, data)
      assert.equal(typeof reference, name === 'internal' ? 'string' : 'undefined')
      assert.equal(counted, 1)
    })
  }

  it('an internal error says nothing but its reference, which the log explains', async () => {
    const server = await startServer({ checkpoint: throws(new TypeError('secret path')) })
    const { error } = await call(server.url, 'checkpoint.get')
    const again = await call(server.url, 'policy.get')
    await server.close()
    assert.doesNotMatch(JSON.stringify(error), /secret/)
    const line = server.logged.find((text) => text.includes(error.data.reference))
    assert.match(line ?? '', /secret path/)
    assert.ok(again.result, 'the node stays up')
  })

  it('a result without JSON form is an internal error', async () => {
    const server = await startServer({ policy: () => 1n as unknown as string })
    const { error } = await call(server.url, 'policy.get')
    await server.close()
    assert.equal(error.code, -32603)
  })

  it('are chosen by code before class, and only from what is known', () => {
    const CASES: [unknown, number | undefined][] = [
      [new ServiceError('unavailable', ''), -32005],
      [new ProofError('out-of-range', ''), -32003],
      [new FormatError('too-large', ''), -32002],
      [new RefusedError('duplicate-entry', ''), -32001],
      [new ProofError('bad-signature', ''), undefined],
      [new InvariantError('broken'), undefined],
      [new QatError('toString', ''), undefined],
      [new Error('plain'), undefined],
      ['text', undefined],
    ]
    for (const [error, code] of CASES) assert.equal(publicError(error)?.rpcCode, code, String(error))
  })

  it('tell a sender when to come back', () => {
    assert.equal(publicError(new ServiceError('overloaded', ''))?.data.retryAfterMs, 1000)
  })

  it('have one number each, ours within the range for servers', () => {
    const numbers = Object.values(RPC_ERRORS).map(({ code }) => code)
    assert.equal(new Set(numbers).size, numbers.length)
    for (const code of numbers) assert.ok(code >= -32700 && code <= -32000)
  })
})
