/** The client against KMEs as others build them, and against what is none. */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:https'
import fc from 'fast-check'
import { systemClock } from '../../node/clock.ts'
import { createAuthority, issueCertificate, kmeUri, saeUri } from '../../node/kme/certificates.ts'
import { type Client014, createClient014 } from '../../node/qkd/client-014.ts'
import { QkdError } from '../../node/qkd/key-provider.ts'

const ID = '3fa85f64-5717-4562-b3fc-2c963f66afa6'
const KEY = Buffer.alloc(32, 7).toString('base64')
const CONTAINER = { keys: [{ key_ID: ID, key: KEY }] }

interface Request {
  readonly method: string
  readonly path: string
  readonly body: string
}
type Reply = { status: number; body?: unknown; raw?: string } | 'hang' | 'reset'

describe('the client of ETSI GS QKD 014', function () {
  this.timeout(20_000)
  let server: Server
  let client: Client014
  let behave: (request: Request, nth: number) => Reply
  let seen: Request[] = []
  let port: number
  let pem: { ca: string; cert: string; key: string }
  before(async () => {
    const authority = await createAuthority('fakes', Date.now())
    const kme = { commonName: 'kme', uri: kmeUri('fake'), hosts: ['127.0.0.1'] }
    const own = await issueCertificate(authority, kme, Date.now())
    const sae = await issueCertificate(authority, { commonName: 'alpha', uri: saeUri('alpha') }, Date.now())
    pem = { ca: authority.cert, ...sae }
    server = createServer({ ...own, ca: authority.cert, requestCert: true }, (request, response) => {
      let body = ''
      request.on('data', (piece) => {
        body += piece
      })
      request.on('end', () => {
        const asked = { method: request.method!, path: request.url!, body }
        seen.push(asked)
        const reply = behave(asked, seen.length - 1)
        if (reply === 'hang') return
        if (reply === 'reset') return void request.socket.destroy()
        response.writeHead(reply.status, { 'content-type': 'application/json' })
        response.end(reply.raw ?? (reply.body === undefined ? '' : JSON.stringify(reply.body)))
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    port = (server.address() as { port: number }).port
    client = make()
  })
  const make = (timeoutMs = 350) =>
    createClient014({
      url: `https://127.0.0.1:${port}/`,
      ...pem,
      clock: systemClock,
      random: () => 0.5,
      timeoutMs,
    })
  after(() => {
    client.close()
    server.closeAllConnections()
    server.close()
  })
  beforeEach(() => {
    seen = []
  })
  const fails = (promise: Promise<unknown>, code: string) =>
    assert.rejects(promise, { code, name: 'QkdError' })
  const getKey = () => client.getKey('bravo', 256)
  const getById = () => client.getKeyById('bravo', ID, 256)

  it('asks by the paths and names of the standard', async () => {
    behave = () => ({ status: 200, body: { ...CONTAINER, key_container_extension: {} } })
    const key = await client.getKey('an SAE/1', 256)
    assert.deepEqual(key, { id: ID, bytes: new Uint8Array(32).fill(7) })
    await client.getKeyById('bravo', ID, 256)
    assert.deepEqual(seen, [
      { method: 'POST', path: '/api/v1/keys/an%20SAE%2F1/enc_keys', body: '{"number":1,"size":256}' },
      { method: 'POST', path: '/api/v1/keys/bravo/dec_keys', body: `{"key_IDs":[{"key_ID":"${ID}"}]}` },
    ])
    behave = () => ({
      status: 200,
      body: { key_size: 352, stored_key_count: 25_000, max_key_count: 100_000, x: 1 },
    })
    assert.deepEqual(await client.status('bravo'), { keySizeBits: 352, storedKeys: 25_000, maxKeys: 100_000 })
  })

  it('waits for a key that is still on its way, whatever the KME calls that', async () => {
    const later: Reply[] = [
      { status: 400, body: { message: 'one or more keys specified are not found on KME' } },
      { status: 404, body: { message: 'Key not found' } },
      { status: 400, raw: '<html>not here</html>' },
      { status: 504, body: { message: 'remote KME' } },
      { status: 503 },
      'reset',
    ]
    for (const reply of later) {
      seen = []
      behave = (_request, nth) => (nth < 2 ? reply : { status: 200, body: CONTAINER })
      assert.equal((await getById()).id, ID)
      assert.equal(seen.length, 3)
    }
    behave = () => later[0]!
    await fails(getById(), 'key-not-found')
    behave = () => later[1]!
    await fails(getById(), 'key-not-found')
  })

  it('takes a refusal as final, and asks once', async () => {
    for (const [reply, code] of [
      [{ status: 401 }, 'kme-refused'],
      [{ status: 401, body: { message: 'who are you' } }, 'kme-refused'],
      [{ status: 400, body: { message: 'size shall be a multiple of 8' } }, 'kme-refused'],
      [
        { status: 400, body: { message: 'not all extension_mandatory parameters are supported.' } },
        'kme-refused',
      ],
    ] as const) {
      for (const call of [getKey, getById]) {
        seen = []
        behave = () => reply
        await fails(call(), code)
        assert.equal(seen.length, 1)
      }
    }
  })

  it('knows an empty pool by 503, and by 400 where the status says so', async () => {
    behave = () => ({
      status: 503,
      body: { message: 'key data access error', details: [{ qat_retry_after_ms: 900 }] },
    })
    await fails(getKey(), 'no-keys')
    assert.equal(seen.length, 1)
    const nextDoor = (stored: number) => (request: Request) =>
      request.path.endsWith('/status')
        ? { status: 200, body: { key_size: 256, stored_key_count: stored } }
        : { status: 400, body: { message: 'not enough keys' } }
    behave = nextDoor(0)
    await fails(getKey(), 'no-keys')
    behave = nextDoor(5)
    await fails(getKey(), 'kme-refused')
  })

  it('takes nothing but one key of the right name and size', async () => {
    const wrong: Reply[] = [
      { status: 200, raw: '' },
      { status: 200, raw: '{' },
      { status: 200, body: {} },
      { status: 200, body: { keys: [] } },
      { status: 200, body: { Keys: CONTAINER.keys } },
      { status: 200, body: { keys: [CONTAINER.keys[0], CONTAINER.keys[0]] } },
      { status: 200, body: { keys: [{ key_ID: ID, key: Buffer.alloc(16).toString('base64') }] } },
      { status: 200, body: { keys: [{ key_ID: ID, key: '%%%' }] } },
      { status: 200, body: { keys: [{ key_ID: 'x', key: KEY }] } },
      { status: 200, body: { keys: [{ key_ID: ID, key: 5 }] } },
      { status: 200, raw: `{"keys":[{"key_ID":"${ID}","key":"${'A'.repeat(100_000)}"}]}` },
    ]
    for (const reply of wrong) {
      behave = () => reply
      await assert.rejects(getKey(), QkdError)
    }
    behave = () => ({ status: 200, body: { keys: [{ key_ID: ID.replace('3', '4'), key: KEY }] } })
    await fails(getById(), 'kme-answer')
  })

  it('ends in a key or in an error of its own, whatever JSON comes, and in time', async () => {
    const answers = fc.oneof(
      fc.jsonValue(),
      fc.record({ keys: fc.jsonValue() }),
      fc.record({ message: fc.string() }),
    )
    await fc.assert(
      fc.asyncProperty(answers, fc.constantFrom(200, 400, 401, 404), async (body, status) => {
        behave = () => ({ status, body })
        const quick = make(60)
        for (const call of [() => quick.getKey('bravo', 256), () => quick.status('bravo')]) {
          await call().catch((error: unknown) => assert.ok(error instanceof QkdError, String(error)))
        }
        quick.close()
      }),
      { numRuns: 40 },
    )
    for (const reply of ['hang', 'reset'] as const) {
      behave = () => reply
      const startMs = performance.now()
      await fails(getKey(), 'kme-unavailable')
      assert.ok(performance.now() - startMs < 2_000)
    }
  })

  it('does not speak with a KME that another authority has certified', async () => {
    const other = await createAuthority('another', Date.now())
    const wary = createClient014({
      url: `https://127.0.0.1:${port}`,
      ...pem,
      ca: other.cert,
      clock: systemClock,
      random: () => 0.5,
      timeoutMs: 300,
    })
    behave = () => ({ status: 200, body: CONTAINER })
    await fails(wary.getKey('bravo', 256), 'kme-unavailable')
    assert.equal(seen.length, 0)
    wary.close()
  })
})
