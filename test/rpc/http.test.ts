import assert from 'node:assert/strict'
import { request } from 'node:http'
import { ListenError } from '../../node/rpc/server.ts'
import {
  call,
  ENVELOPE,
  fakeService,
  HASH,
  type Harness,
  post,
  READY,
  startServer,
  TOKEN,
} from './fake-service.ts'

const POLICY = '{"jsonrpc":"2.0","method":"policy.get","id":1}'

/** Status of a POST without Content-Length. */
function chunked(url: string, body: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'transfer-encoding': 'chunked' }
    const sent = request(`${url}/rpc`, { method: 'POST', headers }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

describe('the HTTP front', () => {
  let server: Harness
  let ready = READY
  before(async () => {
    server = await startServer(
      { status: () => ({ ...fakeService().status(), ready }) },
      { limits: { bodyBytesMax: 20_000 } },
    )
  })
  after(() => server.close())

  it('answers JSON to JSON, whatever the charset parameter', async () => {
    for (const type of ['application/json', 'application/json; charset=utf-8', 'Application/JSON']) {
      const { status, headers, json } = await post(server.url, POLICY, { 'content-type': type })
      assert.equal(status, 200)
      assert.match(headers.get('content-type') ?? '', /^application\/json/)
      assert.equal(json.id, 1)
    }
  })

  it('refuses other content types with 415', async () => {
    for (const type of ['text/plain', 'application/jsonp', 'application/x-www-form-urlencoded', 'nonsense']) {
      const { status, json } = await post(server.url, POLICY, { 'content-type': type })
      assert.equal(status, 415, type)
      assert.deepEqual([json.error.code, json.error.data.code], [-32600, 'wrong-content-type'])
    }
    const bare = await fetch(`${server.url}/rpc`, { method: 'POST' })
    assert.equal(bare.status, 415)
    assert.ok((await server.counted('none', 'wrong-content-type')) >= 5)
  })

  it('refuses a body over the limit with 413, with or without a length, and takes one at the limit', async () => {
    const padded = (bytes: number) => POLICY.padEnd(bytes, ' ')
    assert.equal((await post(server.url, padded(20_000))).status, 200)
    const { status, json } = await post(server.url, padded(20_001))
    assert.equal(status, 413)
    assert.deepEqual(json.error.data, { code: 'too-large', bytesMax: 20_000 })
    assert.equal(await chunked(server.url, padded(30_000)), 413)
  })

  it('answers other methods on /rpc with 405 and what is allowed', async () => {
    for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD']) {
      const response = await fetch(`${server.url}/rpc`, { method })
      assert.equal(response.status, 405, method)
      assert.equal(response.headers.get('allow'), 'POST')
    }
  })

  it('answers 404 elsewhere, and 426 to plain requests for the WebSocket', async () => {
    assert.equal((await fetch(`${server.url}/`)).status, 404)
    const ws = await fetch(`${server.url}/ws`)
    assert.equal(ws.status, 426)
    assert.equal(ws.headers.get('upgrade'), 'websocket')
  })

  it('is alive, ready when it says so, and shows its metrics', async () => {
    const status = async (path: string) => {
      const { status } = await fetch(server.url + path)
      assert.equal((await fetch(server.url + path, { method: 'HEAD' })).status, status, `HEAD ${path}`)
      return status
    }
    const readyz = async () => {
      const paths = ['/readyz', '/readyz/final', '/readyz/entries', '/readyz/reads']
      return Promise.all(paths.map((path) => status(path)))
    }
    assert.equal(await status('/healthz'), 200)
    assert.equal(await status('/metrics'), 200)
    assert.deepEqual(await readyz(), [200, 200, 200, 200])
    ready = { reads: true, entries: true, final: false }
    assert.deepEqual(await readyz(), [503, 503, 200, 200])
    assert.deepEqual(await (await fetch(`${server.url}/readyz`)).json(), ready)
    ready = { reads: true, entries: false, final: false }
    assert.deepEqual(await readyz(), [503, 503, 503, 200])
    assert.equal(await status('/healthz'), 200)
    const metrics = await fetch(`${server.url}/metrics`)
    assert.match(metrics.headers.get('content-type') ?? '', /^text\/plain/)
    assert.match(await metrics.text(), /qat_rpc_requests_total\{method="policy\.get",outcome="ok"/)
  })

  it('counts by method and outcome, and never by a name that a caller made up', async () => {
    await call(server.url, 'made.up.by.the.caller')
    assert.equal(await server.counted('made.up.by.the.caller', 'method-not-found'), 0)
    assert.ok((await server.counted('none', 'method-not-found')) >= 1)
  })

  it('logs neither bodies nor tokens', async () => {
    await call(server.url, 'entry.submit', { entry: { ...ENVELOPE, payload: '!' } })
    await call(server.url, 'event.submit', { event: {} }, { authorization: `Bearer ${TOKEN}` })
    assert.deepEqual(server.logged, [])
  })
})

describe('names', () => {
  let server: Harness
  before(async () => {
    server = await startServer()
  })
  after(() => server.close())

  /** Status and body of an answer to a request that names `host`. */
  function asked(path: string, host: string, headers = {}): Promise<[status: number, body: string]> {
    const { hostname, port } = new URL(server.url)
    const method = path === '/rpc' ? 'POST' : 'GET'
    return new Promise((resolve, reject) => {
      const options = {
        agent: false as const,
        hostname,
        port,
        path,
        method,
        headers: { host, 'content-type': 'application/json', ...headers },
      }
      const sent = request(options, async (response) => {
        let body = ''
        for await (const chunk of response) body += chunk
        resolve([response.statusCode!, body])
      })
      sent.on('upgrade', (_response, socket) => {
        socket.destroy()
        resolve([101, ''])
      })
      sent.on('error', reject)
      sent.end(method === 'POST' ? POLICY : undefined)
    })
  }

  const UPGRADE = {
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
  }

  it('that are not of this node are refused, with the option that names more', async () => {
    for (const host of [
      'evil.example',
      'evil.example:8480',
      'localhost.evil.example',
      '10.9.8.7',
      '[::2]',
      'a b',
    ]) {
      const [status, body] = await asked('/rpc', host)
      assert.equal(status, 421, host)
      assert.match(body, /--rpc-name/)
      const [shaken] = await asked('/ws', host, { ...UPGRADE, origin: `http://${host}` })
      assert.equal(shaken, 421, host)
    }
    assert.match((await asked('/rpc', 'evil.example'))[1], /not called \\"evil\.example\\"/)
  })

  it("and addresses of this node are served, and loopback; operators' addresses have no names to mind", async () => {
    const own = [
      'ledger.example',
      'LEDGER.example.:443',
      '[2001:db8::7]:8480',
      '127.0.0.1',
      'localhost:1',
      '[::1]',
      'a.localhost',
    ]
    for (const host of own) {
      assert.equal((await asked('/rpc', host))[0], 200, host)
      assert.equal((await asked('/ws', host, UPGRADE))[0], 101, host)
    }
    for (const path of ['/healthz', '/readyz', '/metrics']) {
      assert.equal((await asked(path, 'node-0.nodes.svc'))[0], 200, path)
    }
  })
})

describe('the rate limit', () => {
  it('answers 429 with retry-after and a JSON-RPC error, but keeps the probes open', async () => {
    const server = await startServer({}, { limits: { rateCallsMax: 2, rateWindowMs: 60_000 } })
    assert.deepEqual(
      [(await post(server.url, POLICY)).status, (await post(server.url, POLICY)).status],
      [200, 200],
    )
    const { status, headers, json } = await post(server.url, POLICY)
    const health = await fetch(`${server.url}/healthz`)
    const counted = await server.counted('none', 'rate-limited')
    await server.close()
    assert.equal(status, 429)
    assert.ok(Number(headers.get('retry-after')) > 0)
    assert.equal(json.error.code, -32008)
    assert.ok(json.error.data.retryAfterMs > 0)
    assert.equal(health.status, 200)
    assert.equal(counted, 1)
  })

  it('counts each call of a batch', async () => {
    const server = await startServer({}, { limits: { rateCallsMax: 3, rateWindowMs: 60_000 } })
    const batch = (calls: number) => post(server.url, `[${new Array(calls).fill(POLICY).join(',')}]`)
    const [within, beyond] = [await batch(3), await batch(1)]
    const again = await startServer({}, { limits: { rateCallsMax: 3, rateWindowMs: 60_000 } })
    const large = await post(again.url, `[${new Array(4).fill(POLICY).join(',')}]`)
    await Promise.all([server.close(), again.close()])
    assert.equal(within.json.length, 3)
    assert.equal(beyond.status, 429)
    assert.equal(large.json.error.code, -32008)
    assert.deepEqual(again.service.asked, [])
  })

  it('keeps an account for each known token, and none for invented ones', async () => {
    const server = await startServer({}, { limits: { rateCallsMax: 1, rateWindowMs: 60_000 } })
    const as = async (authorization?: string) =>
      (await post(server.url, POLICY, authorization === undefined ? {} : { authorization })).status
    const statuses = [
      await as(),
      await as(`Bearer ${TOKEN}`),
      await as('Bearer invented-1'),
      await as('Bearer invented-2'),
      await as(`Bearer ${TOKEN}`),
    ]
    await server.close()
    assert.deepEqual(statuses, [200, 200, 429, 429, 429])
  })
})

describe('the life of the server', () => {
  it('says in one sentence that a port is taken', async () => {
    const first = await startServer()
    const port = Number(new URL(first.url).port)
    await assert.rejects(startServer({}, { port }), (error: unknown) => {
      assert.ok(error instanceof ListenError)
      assert.equal(error.code, 'port-taken')
      assert.match(error.message, new RegExp(`^Port ${port} on 127\\.0\\.0\\.1 is taken: `))
      return true
    })
    await first.close()
  })

  it('lets a running call end when it closes, and cuts off one that takes too long', async () => {
    const wait = (ms: number) => () =>
      new Promise<never>((_resolve, reject) => setTimeout(() => reject(new Error('late')), ms).unref())
    // Both calls are under way before the server is told to close, however slow the machine is.
    const begun = { submission: Promise.withResolvers<void>(), checkpoint: Promise.withResolvers<void>() }
    const answer = Promise.withResolvers<void>()
    const server = await startServer({
      submission: async (id) => {
        begun.submission.resolve()
        await answer.promise
        return { id, status: 'pending' }
      },
      checkpoint: () => {
        begun.checkpoint.resolve()
        return wait(30_000)()
      },
    })
    const short = call(server.url, 'submission.status', { id: HASH })
    const long = call(server.url, 'checkpoint.get').then(
      () => 'answered',
      () => 'cut off',
    )
    await Promise.all([begun.submission.promise, begun.checkpoint.promise])
    const before = performance.now()
    const closed = server.close()
    answer.resolve()
    await closed
    assert.ok(performance.now() - before < 10_000)
    assert.equal((await short).result.status, 'pending')
    assert.equal(await long, 'cut off')
  })
})
