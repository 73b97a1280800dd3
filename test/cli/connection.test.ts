/** What every command that talks to a node does with the address, the token and the proxies it is given. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { bearerToken, nodeAddress } from '../../node/cli/connection.ts'
import { CliError } from '../../node/cli/exit.ts'
import { askUntil } from '../../node/cli/rpc.ts'
import { HASH, startServer, TOKEN } from '../rpc/fake-service.ts'
import { freePorts } from '../support/free-ports.ts'
import { qat } from './run-qat.ts'

const EVENT = ['--source', '//ci', '--type', 'ci.build', '--subject', 'app@1']

describe('address, token and proxy of a command', () => {
  const servers: Server[] = []
  /** An HTTP server of the test's own, with the paths it was asked for. */
  const serve = async (listener: RequestListener, onConnect?: (target: string) => void) => {
    const server = createServer(listener)
    server.on('connect', (request, socket) => {
      onConnect?.(request.url ?? '')
      socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
    })
    servers.push(server)
    await once(server.listen(0, '127.0.0.1'), 'listening')
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  after(() => {
    for (const server of servers) {
      server.closeAllConnections()
      server.close()
    }
  })

  it('refuses a token that no header can carry before it speaks to anyone, and never prints it', async () => {
    let asked = 0
    const rpc = await serve((_request, response) => response.end(String(++asked)))
    for (const token of ['s3cret\nvalue', 's3cret value', 's3cret\u00e9', 's3cret\0']) {
      assert.throws(
        () => bearerToken(token),
        (error) => error instanceof CliError && error.code === 'usage' && !error.message.includes('s3cret'),
      )
    }
    const args = ['log', ...EVENT, '--rpc', rpc]
    const byOption = qat([...args, '--token', 's3cret\nvalue'], { env: { QAT_DEBUG: '1' } })
    const byVariable = qat([...args, '--json'], { env: { QAT_TOKEN: 's3cret\nvalue' } })
    for (const { code, stdout, stderr } of await Promise.all([byOption, byVariable])) {
      assert.equal(code, 2)
      assert.match(stdout + stderr, /--token or QAT_TOKEN gives holds a space, a line break/)
      assert.doesNotMatch(stdout + stderr, /s3cret/)
    }
    assert.equal(asked, 0)
  })

  it('takes a token as files and variables have it, with the end of its line', () => {
    assert.deepEqual([`${TOKEN}\n`, `${TOKEN}\r\n`, ` ${TOKEN}`].map(bearerToken), [TOKEN, TOKEN, TOKEN])
  })

  it('refuses an address with a password, a query or another protocol, and never prints it', async () => {
    const read = nodeAddress('--rpc')
    for (const address of [
      'http://u:s3cret@h/',
      'https://s3cret@h',
      'http://h/?k=s3cret',
      'http://h/#s3cret',
    ]) {
      assert.throws(
        () => read(address),
        (error) => error instanceof CliError && error.code === 'usage' && !error.message.includes('s3cret'),
      )
    }
    assert.throws(() => read('htp://u:s3cret@h'), /^CliError: --rpc takes an address such as http:[^@]*$/)
    for (const args of [['status'], ['watch'], ['log', '--token', 't'], ['join'], ['backup', '--out', 'x']]) {
      const { code, stdout, stderr } = await qat([...args, '--rpc', 'http://u:s3cret@127.0.0.1:1'])
      assert.equal(code, 2)
      assert.match(stderr, /takes no user name or password/)
      assert.doesNotMatch(stdout + stderr, /s3cret/)
    }
  })

  it('keeps the path of an address, for calls and for events', async () => {
    assert.equal(nodeAddress('--rpc')('https://H.example/audit/'), 'https://h.example/audit')
    const paths: (string | undefined)[] = []
    const rpc = await serve((request, response) => {
      paths.push(request.url)
      response.writeHead(404).end('<html>')
    })
    const { code, stderr } = await qat(['get', '1', '--rpc', `${rpc}/audit/`])
    assert.equal(code, 3)
    assert.match(stderr, /\/audit answers with HTTP status 404, which comes from no Quantum Audit Trail node/)
    await qat(['watch', '--rpc', `${rpc}/audit`])
    assert.deepEqual(paths, ['/audit/rpc', '/audit/ws'])
  })

  it('asks again where a proxy says that the node is away, and not where the address is wrong', async () => {
    let calls = 0
    const result = { id: HASH, status: 'final', index: 7, height: 2 }
    const rpc = await serve((_request, response) => {
      const status = [502, 503, 504, 429][calls++]
      if (status !== undefined) response.writeHead(status, { 'retry-after': '0' }).end('<html>Bad Gateway')
      else response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, result }))
    })
    assert.equal((await qat(['log', ...EVENT, '--token', 't', '--rpc', rpc])).code, 0)
    assert.equal(calls, 5)
    let wrong = 0
    const other = await serve((_request, response) => response.writeHead(404).end(`<html>${++wrong}`))
    assert.equal((await qat(['log', ...EVENT, '--token', 't', '--rpc', other])).code, 3)
    assert.equal(wrong, 1)
    // TLS spoken to a server that knows none stays as wrong as it is.
    const startMs = performance.now()
    const { code } = await qat(['log', ...EVENT, '--token', 't', '--rpc', rpc.replace('http:', 'https:')])
    assert.equal(code, 3)
    assert.ok(performance.now() - startMs < 10_000)
  })

  it('goes through the proxy that the environment names, but for this machine and NO_PROXY', async () => {
    const asked: string[] = []
    const proxy = await serve(
      () => undefined,
      (target) => asked.push(target),
    )
    const node = await startServer()
    const ask = (rpc: string, env: Record<string, string>) =>
      qat(['log', ...EVENT, '--timeout', '0.05', '--rpc', rpc], {
        env: { QAT_TOKEN: TOKEN, HTTPS_PROXY: proxy, http_proxy: proxy, ...env },
      })
    try {
      assert.equal((await ask(node.url, {})).code, 0)
      assert.equal((await ask('https://node.invalid', {})).code, 3)
      assert.equal((await ask('https://node.invalid', { NO_PROXY: 'node.invalid' })).code, 3)
      assert.deepEqual(asked, ['node.invalid:443'])
      const wrong = await ask(node.url, { HTTPS_PROXY: 'socks://u:s3cret@h' })
      assert.equal(wrong.code, 2)
      assert.match(wrong.stderr, /HTTPS_PROXY and HTTP_PROXY take an address/)
      assert.doesNotMatch(wrong.stderr, /s3cret/)
    } finally {
      await node.close()
    }
  })

  it('takes an empty variable for one that is not set', async () => {
    const { code, stderr } = await qat(['log', ...EVENT], { env: { QAT_RPC: '', QAT_TOKEN: ' ' } })
    assert.equal(code, 2)
    assert.match(stderr, /Give --key to sign here, or --token/)
    const { stderr: help } = await qat(['member', 'sign', '/nowhere', '--admin-key', 'k'], {
      env: { QAT_RPC: '' },
    })
    assert.match(help, /\/nowhere could not be read/)
  })

  it('tells somebody at a terminal at once why it does not go on', async () => {
    const [port] = await freePorts(1)
    const written: string[] = []
    const { isTTY } = process.stderr
    const write = process.stderr.write
    process.stderr.isTTY = true
    process.stderr.write = ((text: string) => written.push(text) > 0) as typeof write
    try {
      await assert.rejects(askUntil({ rpc: `http://localhost:${port}` }, 'node.status', () => ({}), 700))
    } finally {
      process.stderr.write = write
      process.stderr.isTTY = isTTY
    }
    assert.equal(written.length, 1)
    assert.match(
      written[0]!,
      /^qat: http:\/\/localhost:\d+ cannot be reached: \S.*\. Trying for 1 s more\.\n$/,
    )
  })
})
