import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import websocket from '@fastify/websocket'
import fastify from 'fastify'
import { ClientError, createClient, RpcError } from '../../node/rpc/client.ts'
import type { LedgerEvent, Submission } from '../../node/service.ts'
import { BLOCK, EVENT, HASH, type Harness, startServer, TOKEN } from './fake-service.ts'

const clientError = (code: string, sentence: RegExp) => (error: unknown) => {
  assert.ok(error instanceof ClientError, String(error))
  assert.equal(error.code, code)
  assert.match(error.message, sentence)
  return true
}

describe('the client', () => {
  let server: Harness
  beforeEach(async () => {
    server = await startServer()
  })
  afterEach(() => server.close())

  it('calls, with and without parameters and token', async () => {
    const client = createClient(server.url, { token: TOKEN })
    assert.deepEqual(await client.call('policy.get'), { policy: 'quorum q\n' })
    const submission = await client.call<Submission>('event.submit', { event: EVENT, wait: 'pending' })
    assert.equal(submission.id, HASH)
  })

  it('throws what the node answers, with number, word and facts', async () => {
    await assert.rejects(
      createClient(server.url).call('event.submit', { event: EVENT }),
      (error: unknown) => {
        assert.ok(error instanceof RpcError)
        assert.deepEqual(
          [error.rpcCode, error.code, error.data],
          [-32004, 'unauthorized', { code: 'unauthorized' }],
        )
        return true
      },
    )
    await assert.rejects(
      createClient(server.url).call('submission.status', { id: '00'.repeat(32) }),
      (error) => {
        assert.ok(error instanceof RpcError)
        assert.deepEqual(error.facts, { id: '00'.repeat(32) })
        return true
      },
    )
  })

  it('hears events until either side ends it', async () => {
    const events: LedgerEvent[] = []
    const ended: string[] = []
    const client = createClient(server.url)
    const subscribe = () =>
      client.subscribe({
        topics: ['blocks'],
        onEvent: (event) => events.push(event),
        onEnd: (reason) => ended.push(reason),
      })
    const first = await subscribe()
    while (server.service.listeners() === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    server.service.emit({ topic: 'blocks', block: BLOCK })
    while (events.length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    assert.deepEqual(events, [{ topic: 'blocks', block: BLOCK }])
    first.close()
    while (ended.length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    await subscribe()
    await server.close()
    while (ended.length === 1) await new Promise((resolve) => setTimeout(resolve, 1))
    assert.deepEqual(ended, ['', 'The node stops.'])
  })

  it('gives up a node that says nothing although it was asked, and keeps one that answers', async () => {
    const ended: string[] = []
    const subscribe = (url: string) =>
      createClient(url).subscribe({
        topics: ['blocks'],
        onEvent: () => undefined,
        onEnd: (reason) => ended.push(reason),
        pingMs: 100,
      })
    const kept = await subscribe(server.url)
    // One that was stopped in its tracks: the socket stays, and nobody reads it.
    const mute = fastify()
    await mute.register(websocket)
    mute.get('/ws', { websocket: true }, (socket) => {
      socket.once('message', () => socket.send('{"jsonrpc":"2.0","id":1,"result":{"subscription":"1"}}'))
    })
    await mute.listen({ host: '127.0.0.1', port: 0 })
    try {
      await subscribe(`http://127.0.0.1:${(mute.server.address() as AddressInfo).port}`)
      await new Promise((resolve) => setTimeout(resolve, 600))
      assert.deepEqual(ended, ['it said nothing for 0.1 s'])
    } finally {
      kept.close()
      mute.websocketServer.clients.forEach((client) => void client.terminate())
      await mute.close()
    }
  })

  it('throws what the node says to a subscription', async () => {
    await assert.rejects(
      createClient(server.url).subscribe({ topics: [], onEvent: () => undefined }),
      (error) => error instanceof RpcError && error.rpcCode === -32602,
    )
  })

  it('says that a node cannot be reached', async () => {
    await server.close()
    const client = createClient(server.url)
    await assert.rejects(
      client.call('policy.get'),
      clientError('unreachable', /cannot be reached: .*ECONNREFUSED/),
    )
    const subscribing = client.subscribe({ topics: ['blocks'], onEvent: () => undefined })
    await assert.rejects(subscribing, clientError('unreachable', /cannot be reached/))
  })

  it('gives up after its time', async () => {
    const slow = await startServer({ checkpoint: () => new Promise(() => undefined) })
    const client = createClient(slow.url, { timeoutMs: 30 })
    await assert.rejects(client.call('checkpoint.get'), clientError('timeout', /within 30 ms/))
    await slow.close()
  })
})

describe('the client before something that is no node', () => {
  let other: Server
  let answer = ''
  let url: string
  before(async () => {
    other = createServer((_request, response) => response.end(answer))
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`
  })
  after(() => other.close())

  for (const text of [
    '<html>',
    '',
    '[]',
    '{}',
    '{"jsonrpc":"2.0","id":2,"result":{}}',
    '{"jsonrpc":"2.0","id":1,"id":1,"result":{}}',
    '{"error":"There is nothing here."}',
    '{"error":{"code":"x","message":"y"}}',
    '{"error":{"code":1,"message":"y","data":{}}}',
  ]) {
    it(`says so of ${JSON.stringify(text)}`, async () => {
      answer = text
      await assert.rejects(createClient(url).call('policy.get'), clientError('bad-answer', /not one of a/))
    })
  }
})
