/** The counters of bytes on the network. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { socketBytes, watchSockets } from '../../node/net/socket-bytes.ts'

describe('the bytes of sockets', () => {
  it('are counted on both sides, while they are open and after', async () => {
    watchSockets()
    const before = socketBytes()
    const server = createServer((socket: Socket) => socket.on('data', () => socket.end('12345')))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
    client.write('123')
    await once(client, 'data')
    const open = socketBytes()
    assert.deepEqual([open.sent - before.sent, open.received - before.received], [8, 8])
    await Promise.all([once(client, 'close'), once(server.close(), 'close')])
    assert.deepEqual(socketBytes(), open)
  })
})
