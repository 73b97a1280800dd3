/** Bytes that this process has sent and received over TCP, peers and clients together, by Node's own counters. */
import { subscribe } from 'node:diagnostics_channel'
import { Socket } from 'node:net'

const open = new Set<Socket>()
const closed = { sent: 0, received: 0 }
let watching = false

/** Begins to count sockets that are opened from now on; once for the whole process. */
export function watchSockets(): void {
  if (watching) return
  watching = true
  subscribe('net.client.socket', watch)
  subscribe('net.server.socket', watch)
}

export function socketBytes(): { readonly sent: number; readonly received: number } {
  const total = { ...closed }
  for (const socket of open) {
    total.sent += socket.bytesWritten
    total.received += socket.bytesRead
  }
  return total
}

function watch(message: unknown): void {
  const { socket } = message as { readonly socket: unknown }
  if (!(socket instanceof Socket) || open.has(socket)) return
  open.add(socket)
  socket.once('close', () => {
    open.delete(socket)
    closed.sent += socket.bytesWritten
    closed.received += socket.bytesRead
  })
}
