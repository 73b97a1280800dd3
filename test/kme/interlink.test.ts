/** The port of a KME for the others, before strangers. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { createAuthority, issueCertificate, kmeUri } from '../../node/kme/certificates.ts'
import { Interlink } from '../../node/kme/interlink.ts'
import { until } from '../support/cluster.ts'

const NAMES = ['a', 'b'] as const

describe('the connection between KMEs', () => {
  it('is made beside any number of strangers who say nothing, and these are closed', async () => {
    const now = Date.now()
    const authority = await createAuthority('test', now)
    const up = new Set<string>()
    const start = async (own: string, peer: string, port: number) => {
      const tls = {
        ca: authority.cert,
        ...(await issueCertificate(authority, { commonName: own, uri: kmeUri(own) }, now)),
      }
      return Interlink.start({
        kmeId: own,
        tls,
        listen: { host: '127.0.0.1', port: 0 },
        peers: [{ kmeId: peer, host: '127.0.0.1', port }],
        handlers: { up: (id) => up.add(id), down: (id) => up.delete(id), frame: () => {} },
        debug: () => {},
      })
    }
    const [a, b] = NAMES
    const listener = await start(b, a, 0)
    let closed = 0
    const strangers = Array.from({ length: 300 }, () => {
      const socket = connect(listener.port, '127.0.0.1')
      return socket
        .on('error', () => {})
        .on('close', () => closed++)
        .resume()
    })
    await until(() => closed >= 300 - 64)
    const dialler = await start(a, b, listener.port)
    await until(() => up.has(a) && up.has(b), 3_000)
    await until(() => closed === 300, 7_000)
    assert.ok(listener.connected(a))
    for (const socket of strangers) socket.destroy()
    await dialler.close()
    await listener.close()
  })
})
