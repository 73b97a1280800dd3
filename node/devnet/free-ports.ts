/** Whether the ports of a devnet are free, asked before anything is made that relies on them. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { errorMessage } from '../../src/errors.ts'
import { DevnetError } from './names.ts'

export interface Place {
  readonly host: string
  readonly port: number
}

/** Throws DevnetError `devnet-options` for the first that another program has, or that this user may not have. */
export async function refuseTakenPorts(places: readonly Place[], advice: string): Promise<void> {
  for (const { host, port } of places) {
    const server = createServer()
    try {
      server.listen({ host, port, exclusive: true })
      await once(server, 'listening')
    } catch (cause) {
      const taken = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE'
      const why = taken ? 'is in use by another program' : `cannot be had (${errorMessage(cause)})`
      const message = `The port ${port} on ${host} ${why}. ${advice}`
      throw new DevnetError('devnet-options', message, { host, port }, { cause })
    } finally {
      server.close()
    }
  }
}
