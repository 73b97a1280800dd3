import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import type { JsonObject } from '../../src/json.ts'
import { BLOCK, CHECKPOINT, EVENT, HASH, type Harness, startServer, TOKEN, VIEW } from './fake-service.ts'

const ENTRIES = { topic: 'entries', entry: VIEW } as const
const BLOCKS = { topic: 'blocks', block: BLOCK } as const

/** A WebSocket that keeps what it hears. */
class Peer {
  readonly heard: Record<string, never>[] = []
  readonly closed: Promise<{ code: number; reason: string }>
  readonly #socket: WebSocket
  #wake: () => void = () => undefined
  #calls = 0

  private constructor(socket: WebSocket) {
    this.#socket = socket
    socket.addEventListener('message', ({ data }) => {
      this.heard.push(JSON.parse(String(data)))
      this.#wake()
    })
    this.closed = new Promise((resolve) => {
      socket.addEventListener('close', ({ code, reason }) => resolve({ code, reason }))
    })
  }

  static async connect(url: string): Promise<Peer> {
    const socket = new WebSocket(url.replace('http', 'ws').concat('/ws'))
    const peer = new Peer(socket)
    await new Promise((resolve) => socket.addEventListener('open', resolve, { once: true }))
    return peer
  }

  send(message: string | Uint8Array<ArrayBuffer>): void {
    this.#socket.send(message)
  }

  /** Waits until something was heard that fits, and returns it. */
  async hears(fits: (message: Record<string, never>) => boolean): Promise<JsonObject> {
    for (;;) {
      const found = this.heard.find(fits)
      if (found !== undefined) return found
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  async call(method: string, params: object): Promise<JsonObject> {
    const id = ++this.#calls
    this.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }))
    return this.hears((message) => message.id === id)
  }

  close(): Promise<unknown> {
    this.#socket.close()
    return this.closed
  }
}

/** Speaks the opening handshake (RFC 6455 section 4.1) by hand; the answer's first line and the socket. */
function upgrade(url: string, path: string, headers: Record<string, string> = {}): Promise<[string, Socket]> {
  const { hostname, port, host } = new URL(url)
  const socket = connect(Number(port), hostname)
  const lines = {
    host,
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-version': '13',
    'sec-websocket-key': randomBytes(16).toString('base64'),
    ...headers,
  }
  const head = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`GET ${path} HTTP/1.1\r\n${head.join('')}\r\n`)
  return new Promise((resolve, reject) => {
    socket.once('data', (data) => resolve([data.toString().split('\r\n')[0]!, socket]))
    socket.once('error', reject)
  })
}

/** A masked text frame of at most 125 bytes. */
function frame(text: string): Buffer {
  const payload = Buffer.from(text)
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload])
}

const SUBSCRIBE = '{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"topics":["blocks"]}}'

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 2))
}

describe('the WebSocket', () => {
  let server: Harness
  afterEach(() => server.close())

  it('answers calls like HTTP does: singly, in batches, and not at all to notifications', async () => {
    server = await startServer()
    const peer = await Peer.connect(server.url)
    assert.deepEqual((await peer.call('policy.get', {})).result, { policy: 'quorum q\n' })
    peer.send('{"jsonrpc":"2.0","method":"policy.get"}')
    peer.send('[{"jsonrpc":"2.0","method":"policy.get","id":"a"},1]')
    const batch = await peer.hears((message) => Array.isArray(message))
    assert.equal((batch as unknown as unknown[]).length, 2)
    peer.send('{')
    const refused = await peer.hears((message) => message.id === null)
    assert.equal((refused.error as JsonObject).code, -32700)
    assert.equal(peer.heard.length, 3)
    await peer.close()
  })

  it('tells of the topics that were asked for, until it is told to stop', async () => {
    server = await startServer()
    const peer = await Peer.connect(server.url)
    const { result } = await peer.call('subscribe', { topics: ['blocks', 'checkpoints'] })
    assert.deepEqual(result, { subscription: '1' })
    server.service.emit(ENTRIES)
    server.service.emit(BLOCKS)
    server.service.emit({ topic: 'checkpoints', checkpoint: CHECKPOINT })
    await until(() => peer.heard.length === 3)
    assert.deepEqual(peer.heard[1], {
      jsonrpc: '2.0',
      method: 'subscription',
      params: { subscription: '1', event: BLOCKS },
    })
    await peer.call('unsubscribe', { subscription: '1' })
    assert.equal(server.service.listeners(), 0)
    server.service.emit(BLOCKS)
    const again = await peer.call('unsubscribe', { subscription: '1' })
    assert.equal((again.error as JsonObject).code, -32003)
    assert.equal(peer.heard.length, 5)
    await peer.close()
  })

  it('filters entries by exact source, type and subject', async () => {
    server = await startServer()
    const peer = await Peer.connect(server.url)
    const { source, type, subject } = EVENT
    for (const filter of [
      {},
      { source },
      { source, type, subject },
      { source: 'x' },
      { source, subject: 'x' },
    ]) {
      await peer.call('subscribe', { topics: ['entries'], filter })
    }
    server.service.emit(ENTRIES)
    // Not an event at all, as membership entries are not: matches no filter, but is an entry.
    server.service.emit({ topic: 'entries', entry: { ...VIEW, entry: {} } })
    await peer.call('policy.get', {})
    const told = peer.heard
      .filter(({ method }) => method === 'subscription')
      .map(({ params }) => (params as unknown as JsonObject).subscription)
    assert.deepEqual(told, ['1', '2', '3', '1'])
    await peer.close()
  })

  it('refuses what it cannot keep: a filter without entries, a topic twice, too many subscriptions', async () => {
    server = await startServer({}, { limits: { subscriptionsPerSocketMax: 2 } })
    const peer = await Peer.connect(server.url)
    const code = async (params: object) => {
      const { error } = await peer.call('subscribe', params)
      return ((error as JsonObject | undefined)?.data as JsonObject | undefined)?.code
    }
    assert.equal(await code({ topics: ['blocks'], filter: { source: 'a' } }), 'invalid-params')
    assert.equal(await code({ topics: ['blocks', 'blocks'] }), 'invalid-params')
    assert.equal(await code({ topics: ['news'] }), 'invalid-params')
    assert.equal(await code({ topics: [] }), 'invalid-params')
    assert.equal(await code({ topics: ['entries'], filter: { id: 'a' } }), 'invalid-params')
    assert.equal(await code({ topics: ['blocks'] }), undefined)
    assert.equal(await code({ topics: ['blocks'] }), undefined)
    assert.equal(await code({ topics: ['blocks'] }), 'too-many-subscriptions')
    await peer.close()
    await until(() => server.service.listeners() === 0)
  })

  it('never tells of a subscription before the answer that names it', async () => {
    server = await startServer({
      subscribe(listener) {
        listener(BLOCKS)
        return () => undefined
      },
    })
    const peer = await Peer.connect(server.url)
    await peer.call('subscribe', { topics: ['blocks'] })
    await until(() => peer.heard.length === 2)
    assert.ok('result' in peer.heard[0]!)
    await peer.close()
  })

  it('spells nothing more for a socket that it is closing', async () => {
    server = await startServer({}, { limits: { closeGraceMs: 60_000 } })
    const [, socket] = await upgrade(server.url, '/ws')
    socket.write(frame(SUBSCRIBE))
    await until(() => server.service.listeners() === 1)
    const binary = frame('{}')
    binary[0] = 0x82
    socket.write(binary)
    await until(() => server.service.listeners() === 0)
    socket.destroy()
  })

  it('knows the token of the handshake', async () => {
    server = await startServer()
    const [line, socket] = await upgrade(server.url, '/ws', { authorization: `Bearer ${TOKEN}` })
    assert.match(line, / 101 /)
    socket.write(frame('{"jsonrpc":"2.0","id":1,"method":"event.submit","params":{"event":{}}}'))
    await until(() => server.service.asked.length === 1)
    const [name, events, principal] = server.service.asked[0]!
    assert.deepEqual(
      [name, events, principal],
      ['submitEvents', [{}], { name: 'ci', sources: ['*'], types: ['*'] }],
    )
    socket.destroy()
  })

  it('drops a consumer that does not read, with bounded memory, and goes on for the others', async () => {
    server = await startServer({}, { limits: { socketUnsentBytesMax: 100_000 } })
    const [, stuck] = await upgrade(server.url, '/ws')
    stuck.pause()
    stuck.write(frame(SUBSCRIBE))
    await until(() => server.service.listeners() === 1)
    const peer = await Peer.connect(server.url)
    await peer.call('subscribe', { topics: ['blocks'] })
    const large = { topic: 'blocks', block: { ...BLOCK, entries: new Array(1_000).fill(HASH) } } as const
    let told = 0
    await until(async () => {
      server.service.emit(large)
      told++
      return (await server.counted('none', 'slow-consumer')) === 1
    })
    await until(() => peer.heard.length === 1 + told)
    await peer.close()
    stuck.resume()
    await new Promise((resolve) => stuck.on('close', resolve))
  })

  it('does not read on while too many calls of a socket are running', async () => {
    let running = 0
    let most = 0
    const release: (() => void)[] = []
    server = await startServer(
      {
        async submission(id) {
          most = Math.max(most, ++running)
          await new Promise<void>((resolve) => release.push(resolve))
          running--
          return { id, status: 'pending' }
        },
      },
      { limits: { callsPerSocketMax: 4 } },
    )
    const peer = await Peer.connect(server.url)
    const params = { id: HASH, timeoutMs: 0 }
    // Large enough that they do not all arrive in one read.
    for (let id = 1; id <= 40; id++) {
      peer.send(
        `${JSON.stringify({ jsonrpc: '2.0', id, method: 'submission.status', params })}${' '.repeat(300_000)}`,
      )
    }
    await until(() => running >= 4)
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.ok(most <= 6, `${most} ran at once`)
    await until(() => {
      for (const done of release.splice(0)) done()
      return peer.heard.length === 40
    })
    await peer.close()
  })

  it('closes with the status that says why: binary, too large, the node stops', async () => {
    server = await startServer({}, { limits: { bodyBytesMax: 1_000 } })
    const binary = await Peer.connect(server.url)
    binary.send(new Uint8Array([123, 125]))
    assert.equal((await binary.closed).code, 1003)
    const large = await Peer.connect(server.url)
    large.send(' '.repeat(1_001))
    assert.equal((await large.closed).code, 1009)
    const last = await Peer.connect(server.url)
    await server.close()
    assert.deepEqual(await last.closed, { code: 1001, reason: 'The node stops.' })
  })

  it('ends sockets that fall silent', async () => {
    server = await startServer({}, { limits: { socketPingMs: 20 } })
    const peer = await Peer.connect(server.url)
    const [, silent] = await upgrade(server.url, '/ws')
    await new Promise((resolve) => silent.on('close', resolve))
    assert.ok((await peer.call('policy.get', {})).result, 'a peer that answers pings stays')
    assert.equal(await server.counted('none', 'silent'), 1)
    await peer.close()
  })

  it('refuses handshakes: other origins, other addresses, too often', async () => {
    server = await startServer({}, { limits: { rateCallsMax: 5, rateWindowMs: 60_000 } })
    const status = async (path: string, headers = {}) =>
      (await upgrade(server.url, path, headers))[0].split(' ')[1]
    assert.equal(await status('/ws', { origin: 'https://evil.example' }), '403')
    assert.equal(await status('/ws', { origin: 'null' }), '403')
    assert.equal(await status('/elsewhere'), '404')
    const { host } = new URL(server.url)
    assert.equal(await status('/ws', { origin: `http://${host}` }), '101')
    for (let i = 0; i < 3; i++) await status('/ws')
    assert.equal(await status('/ws'), '429')
  })

  it('counts calls against the rate of the caller', async () => {
    server = await startServer({}, { limits: { rateCallsMax: 3, rateWindowMs: 60_000 } })
    const peer = await Peer.connect(server.url)
    assert.ok((await peer.call('policy.get', {})).result)
    assert.ok((await peer.call('policy.get', {})).result)
    assert.equal(((await peer.call('policy.get', {})).error as JsonObject).code, -32008)
    await peer.close()
  })
})
