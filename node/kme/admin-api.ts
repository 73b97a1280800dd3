/**
 * For whoever plays with the simulated fibres: on a port of its own, on loopback unless the configuration says
 * otherwise, with a bearer token that lies in the KME's store. A real device has nothing of the kind.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { type FastifyInstance, fastify } from 'fastify'
import { errorCode, errorMessage, FormatError } from '../../src/errors.ts'
import { fields, type JsonObject, parseJson } from '../../src/json.ts'
import { type Channel, QUIET_CHANNEL } from '../../src/qkd/profile.ts'
import { checkChannel } from './control.ts'
import type { Kme } from './kme.ts'

const BODY_BYTES_MAX = 1_024

type Simulated = Pick<Kme, 'links' | 'disturb' | 'restore'>

/** The change that a request asks for: its name, and a body such as {"fraction":0.5}. Throws FormatError. */
const CHANGES: Record<string, (body: JsonObject) => Partial<Channel>> = {
  eve: (body) => {
    const eavesdropped = fields(body, 'the body', ['fraction']).fraction
    return { eavesdropped: checkChannel({ ...QUIET_CHANNEL, eavesdropped }).eavesdropped }
  },
  attenuation: (body) => {
    const extraLossDb = fields(body, 'the body', ['dB']).dB
    return { extraLossDb: checkChannel({ ...QUIET_CHANNEL, extraLossDb }).extraLossDb }
  },
  cut: () => ({ cut: true }),
  restore: () => QUIET_CHANNEL,
}

export function createAdminApi(kme: Simulated, token: string): FastifyInstance {
  const app = fastify({ bodyLimit: BODY_BYTES_MAX, logger: false, forceCloseConnections: true })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.addHook('onRequest', async (request, reply) => {
    if (!matches(request.headers.authorization ?? '', `Bearer ${token}`)) {
      await reply.code(401).send({ message: 'Give the token that lies in the store of the KME.' })
    }
  })
  app.setErrorHandler((error, _request, reply) => {
    const bad = error instanceof FormatError
    return reply
      .code(bad ? 400 : 500)
      .send({ code: errorCode(error), message: bad ? errorMessage(error) : 'It failed.' })
  })
  const find = (id: string) => kme.links().find(({ kme: other }) => other === id)
  app.get('/sim/v1/links', async () => kme.links())
  app.get<{ Params: { id: string } }>('/sim/v1/links/:id', async ({ params: { id } }, reply) => {
    return find(id) ?? reply.code(404).send({ message: 'There is no link to a KME of this id.' })
  })
  app.post<{ Params: { id: string; change: string } }>(
    '/sim/v1/links/:id/:change',
    async (request, reply) => {
      const { id, change } = request.params
      const changeOf = Object.hasOwn(CHANGES, change) ? CHANGES[change] : undefined
      if (!changeOf || !find(id))
        return reply.code(404).send({ message: 'There is no such link, or no such change.' })
      const { body } = request
      const given = body instanceof Uint8Array && body.length > 0 ? parseJson(body, BODY_BYTES_MAX) : {}
      const wanted = changeOf(given as JsonObject)
      if (!kme.disturb(id, wanted)) {
        return reply.code(503).send({ message: 'The KME that hosts this fibre cannot be reached.' })
      }
      return find(id)
    },
  )
  return app
}

function matches(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
