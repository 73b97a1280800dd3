/** The second replica of a hypercore: says on which port it listens, then how many blocks it has verified. */
import { createServer } from 'node:net'
import { loadHypercore, replicate } from './hypercore.ts'

const TELL_EVERY_MS = 5

const [dir, key] = process.argv.slice(2)
const Core = await loadHypercore()
if (!Core || dir === undefined || key === undefined) throw new Error('usage: hypercore-replica.ts DIR KEY')
const core = new Core(dir, Buffer.from(key, 'hex'))
await core.ready()
core.download({ start: 0, end: -1 })
const server = createServer((socket) => replicate(core, socket, false))
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address === 'object') process.send?.(address.port)
})
let told = 0
setInterval(() => {
  if (core.contiguousLength === told) return
  told = core.contiguousLength
  process.send?.(told)
}, TELL_EVERY_MS)
process.once('disconnect', () => process.exit(0))
