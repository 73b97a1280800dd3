/** Callers who ask for much and take nothing, on a server with its ordinary limits. */
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { QueryPage } from '../../node/service.ts'
import { call, ENVELOPE, type Harness, startServer, TOKEN, VIEW } from '../rpc/fake-service.ts'

const MIB = 1_048_576
/** What forty connections may make the node's memory grow by: it was 1.5 GiB within seconds. */
const GROWTH_MAX = 400 * MIB
const TOKEN_HEADER = { authorization: `Bearer ${TOKEN}` }

/** A page as large as the node makes one. */
const PAGE: QueryPage = {
  entries: new Array(200).fill({ ...VIEW, entry: { ...ENVELOPE, payload: 'x'.repeat(8_000) } }),
  next: 7,
}
const BATCH = JSON.stringify(
  Array.from({ length: 100 }, (_, id) => ({
    jsonrpc: '2.0',
    id,
    method: 'entry.query',
    params: { limit: 200 },
  })),
)

function request(url: string, body: string, more = ''): string {
  const lines = [
    `host: ${new URL(url).host}`,
    'content-type: application/json',
    `content-length: ${body.length}`,
  ]
  return `POST /rpc HTTP/1.1\r\n${lines.join('\r\n')}\r\n${more}\r\n${body}`
}

/** Connections that send `text` and read nothing. */
function unread(url: string, count: number, text: string | Uint8Array): Socket[] {
  const { hostname, port } = new URL(url)
  return Array.from({ length: count }, () => {
    const socket = connect(Number(port), hostname)
    socket.pause().on('error', () => {})
    socket.write(text)
    return socket
  })
}

/** The most that the process has grown by within `ms`, and how long nine of ten honest submissions took at most. */
async function watch(server: Harness, ms: number): Promise<{ grown: number; p90: number }> {
  const before = process.memoryUsage.rss()
  const took: number[] = []
  let grown = 0
  for (const end = performance.now() + ms; performance.now() < end; await delay(20)) {
    const begun = performance.now()
    const { result } = await call(server.url, 'event.submit', { event: {} }, TOKEN_HEADER)
    assert.equal(result?.status, 'ordered')
    took.push(performance.now() - begun)
    grown = Math.max(grown, process.memoryUsage.rss() - before)
  }
  return { grown, p90: took.sort((a, b) => a - b)[Math.floor(0.9 * took.length)]! }
}

describe('answers that nobody reads', () => {
  let server: Harness
  let sockets: Socket[] = []
  beforeEach(async () => {
    server = await startServer({ query: async () => PAGE })
  })
  afterEach(() => {
    for (const socket of sockets) socket.destroy()
    return server.close()
  })

  it('take a bounded amount of memory, and no time of those who submit', async () => {
    sockets = unread(server.url, 40, request(server.url, BATCH))
    const { grown, p90 } = await watch(server, 3_000)
    assert.ok(grown < GROWTH_MAX, `grew by ${Math.round(grown / MIB)} MiB`)
    assert.ok(p90 < 250, `a submission took ${Math.round(p90)} ms`)
    assert.ok((await server.counted('entry.query', 'overloaded')) > 0)
  })

  it('nor do requests that are sent one behind the other on a connection', async () => {
    const one = request(server.url, '{"jsonrpc":"2.0","id":1,"method":"entry.query","params":{"limit":200}}')
    sockets = unread(server.url, 10, one.repeat(500))
    const { grown } = await watch(server, 2_000)
    assert.ok(grown < GROWTH_MAX, `grew by ${Math.round(grown / MIB)} MiB`)
  })

  it('nor do bodies that never end', async () => {
    const head = request(server.url, '').replace('content-length: 0', `content-length: ${4 * MIB}`)
    sockets = unread(server.url, 200, Buffer.from(head + ' '.repeat(3.9 * MIB)))
    const { grown } = await watch(server, 2_000)
    assert.ok(grown < GROWTH_MAX, `grew by ${Math.round(grown / MIB)} MiB`)
  })
})

describe('a slow reader', () => {
  it('is cut when it takes nothing, and its room is free again', async () => {
    const server = await startServer({ query: async () => PAGE }, { limits: { progressMs: 300 } })
    // More than the buffers of the kernel hold.
    const [socket] = unread(server.url, 1, request(server.url, BATCH).repeat(4))
    const closed = new Promise((resolve) => socket!.on('close', resolve))
    await delay(1_500)
    socket!.resume()
    await closed
    assert.ok(socket!.bytesRead < 16 * MIB, `${socket!.bytesRead} bytes were taken`)
    assert.match(await (await fetch(`${server.url}/metrics`)).text(), /qat_rpc_held_bytes\{[^}]*\} 0\n/)
    await server.close()
  })

  it('is cut when it takes too long over all', async () => {
    const limits = { answerMs: 100, answerBytesPerSecondMin: 1e9 }
    const server = await startServer({ query: async () => PAGE }, { limits })
    const [socket] = unread(server.url, 1, request(server.url, BATCH))
    const closed = new Promise((resolve) => socket!.on('close', resolve))
    await delay(1_000)
    socket!.resume()
    await closed
    assert.equal(await server.counted('none', 'slow-consumer'), 1)
    await server.close()
  })

  it('is not cut while it takes a little now and then, or waits for what takes its time', async () => {
    const limits = { progressMs: 200 }
    const submission = async (id: string) => {
      await delay(700)
      return { id, status: 'pending' as const }
    }
    const server = await startServer({ query: async () => PAGE, submission }, { limits })
    const id = 'ab'.repeat(32)
    const wait = `{"jsonrpc":"2.0","id":2,"method":"submission.status","params":{"id":"${id}"}}`
    const [socket] = unread(
      server.url,
      1,
      request(server.url, BATCH) + request(server.url, wait, 'connection: close\r\n'),
    )
    let text = ''
    const ended = new Promise((resolve) => socket!.on('end', resolve))
    socket!.on('data', (chunk) => {
      text = (text + chunk).slice(-1_000)
      socket!.pause()
      setTimeout(() => socket!.resume(), 2)
    })
    socket!.resume()
    await ended
    assert.match(text, /"id":2\}$/)
    await server.close()
  })
})
