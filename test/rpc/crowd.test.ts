/** Strangers who take connections and WebSockets and do nothing with them, on a server with few places. */
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { until } from '../support/cluster.ts'
import { BLOCK, call, HASH, type Harness, startServer, TOKEN } from './fake-service.ts'

const PLACES = { perAddressMax: 8, max: 16 }

describe('a crowd of strangers', () => {
  let server: Harness
  const open = new Set<Socket>()
  const closed = new Set<Socket>()
  afterEach(() => {
    for (const socket of open) socket.destroy()
    open.clear()
    closed.clear()
    return server.close()
  })

  function dial(text = '', from = '127.0.0.1'): Socket {
    const { port } = new URL(server.url)
    const socket = connect({ port: Number(port), host: '127.0.0.1', localAddress: from })
    open.add(socket)
    socket.on('error', () => {}).on('close', () => closed.add(socket))
    socket.resume().write(text)
    return socket
  }

  const upgrade = (token?: string) =>
    `GET /ws HTTP/1.1\r\nhost: 127.0.0.1\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n` +
    `sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n${token ? `authorization: Bearer ${token}\r\n` : ''}\r\n`

  it('with silent TCP connections shuts nobody out, and has them for a short time', async () => {
    server = await startServer({}, { limits: { connections: PLACES, headMs: 500, requestCheckMs: 100 } })
    const silent = Array.from({ length: 40 }, (_, i) => dial('', `127.0.0.${2 + (i % 4)}`))
    await until(() => closed.size >= 40 - PLACES.max)
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200)
    assert.ok((await call(server.url, 'policy.get')).result)
    await until(() => silent.every((socket) => closed.has(socket)), 3_000)
  })

  it('with requests that never end, or wait for long, shuts nobody out', async () => {
    const never = new Promise<never>(() => {})
    server = await startServer({ submission: () => never }, { limits: { connections: PLACES } })
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'submission.status', params: { id: HASH } })
    const head = `POST /rpc HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n`
    for (let i = 0; i < 20; i++) {
      dial(`${head}content-length: ${body.length}\r\n\r\n${body}`)
      dial(`${head}content-length: 100000\r\n\r\n{`)
    }
    await until(() => closed.size >= 40 - PLACES.perAddressMax)
    const headers = { authorization: `Bearer ${TOKEN}` }
    assert.ok((await call(server.url, 'event.submit', { event: {} }, headers)).result)
    assert.equal((await fetch(`${server.url}/readyz`)).status, 200)
  })

  it('ends requests that are too slow within a second of their time', async () => {
    server = await startServer({}, { limits: { requestMs: 600, headMs: 600, requestCheckMs: 100 } })
    const begun = performance.now()
    const slow = dial('POST /rpc HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n')
    slow.write('content-length: 1000\r\n\r\n')
    const drip = setInterval(() => slow.write(' '), 50)
    await until(() => closed.has(slow), 5_000)
    clearInterval(drip)
    assert.ok(performance.now() - begun < 1_600)
  })

  it('with idle WebSockets shuts nobody out; those in use, and those of known senders, stay', async () => {
    server = await startServer({}, { limits: { sockets: PLACES, closeGraceMs: 50 } })
    const subscriber = new WebSocket(`${server.url.replace('http', 'ws')}/ws`)
    await new Promise((resolve) => subscriber.addEventListener('open', resolve))
    subscriber.send('{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"topics":["blocks"]}}')
    await until(() => server.service.listeners() === 1)
    const known = dial(upgrade(TOKEN))
    await delay(50)
    for (let i = 0; i < 40; i++) dial(upgrade(), `127.0.0.${1 + (i % 3)}`)
    await until(() => closed.size >= 42 - PLACES.max)
    assert.ok(!closed.has(known))
    let told = 0
    subscriber.addEventListener('message', () => told++)
    server.service.emit({ topic: 'blocks', block: BLOCK })
    await until(() => told === 1)
    const late = new WebSocket(`${server.url.replace('http', 'ws')}/ws`)
    await new Promise((resolve) => late.addEventListener('open', resolve))
    late.send('{"jsonrpc":"2.0","id":1,"method":"policy.get"}')
    const answer = await new Promise<MessageEvent>((resolve) => late.addEventListener('message', resolve))
    assert.match(String(answer.data), /quorum q/)
    subscriber.close()
    late.close()
  })

  it('that subscribes and never reads makes the node hold little, and is cut', async () => {
    server = await startServer({}, { limits: { progressMs: 500 } })
    const peers = Array.from({ length: 100 }, () => dial(upgrade()).pause())
    for (const peer of peers) {
      for (let i = 0; i < 16; i++) {
        const text = Buffer.from('{"jsonrpc":"2.0","method":"subscribe","params":{"topics":["blocks"]}}')
        peer.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), text]))
      }
    }
    await until(() => server.service.listeners() === 1)
    await delay(300)
    const before = process.memoryUsage.rss()
    let grown = 0
    const block = { ...BLOCK, entries: new Array<string>(500).fill(HASH) }
    for (let i = 0; i < 60; i++, await delay(10)) {
      server.service.emit({ topic: 'blocks', block })
      grown = Math.max(grown, process.memoryUsage.rss() - before)
    }
    assert.ok(grown < 300 * 1_048_576, `grew by ${Math.round(grown / 1_048_576)} MiB`)
    for (const peer of peers) peer.resume()
    await until(() => peers.every((peer) => closed.has(peer)))
    assert.equal(server.service.listeners(), 0)
  })
})
