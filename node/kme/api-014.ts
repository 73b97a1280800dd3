/**
 * ETSI GS QKD 014 V1.1.1: the methods of clause 5 over HTTPS with mutual TLS, for the applications of this KME. Who
 * calls says the client certificate and nothing else. Bodies are neither logged nor kept.
 */
import type { TLSSocket } from 'node:tls'
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { toBase64 } from '../../src/bytes.ts'
import { errorMessage, FormatError } from '../../src/errors.ts'
import { array, type Json, type JsonObject, object, parseJson, text } from '../../src/json.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'
import { type IssuedKey, KEY_BITS, type KeyService, KeyServiceError } from './key-service.ts'
import { RATE_LIMITS, RateLimiter, type RateLimits } from './rate-limit.ts'
import { certificateOf, type SaeIdSource, saeIdOf } from './sae-id.ts'

export interface Api014Options {
  readonly service: KeyService
  /** PEM. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string }
  readonly saeId: SaeIdSource
  /** Of the link to a KME: members of `status_extension`. */
  readonly extensionOf: (kmeId: string) => JsonObject
  readonly kmeId: string
  readonly clock: Clock
  readonly logger: Logger
  readonly rateLimits?: RateLimits
  /** Told of every answer: the method, and its HTTP status. */
  readonly onAnswer?: (method: 'status' | 'enc_keys' | 'dec_keys', status: number) => void
}

const BODY_BYTES_MAX = 65_536
const IDS_MAX = 128
const SAE_BYTES_MAX = 255
const ROUTE_TYPE = 'qat_route_type'
/** Too many, too fast, or nothing left: the standard has no other answer for these. */
const ACCESS_ERROR = 'key data access error'

export function createApi014(options: Api014Options): FastifyInstance {
  const { service, saeId, clock } = options
  const limiter = new RateLimiter(options.rateLimits ?? RATE_LIMITS, clock)
  const app = fastify({
    https: { ...options.tls, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.2' },
    bodyLimit: BODY_BYTES_MAX,
    logger: false,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 3 * SAE_BYTES_MAX },
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))

  const callerOf = (request: FastifyRequest): string => {
    const sae = saeIdOf(certificateOf(request.raw.socket as TLSSocket), saeId)
    if (sae === undefined || !service.isLocal(sae)) {
      throw new KeyServiceError('unauthorized', 'The certificate names no application of this KME.')
    }
    return sae
  }
  const pace = (waitMs: number) => {
    if (waitMs > 0) throw refusal('rate_limited', 0, waitMs)
  }

  const handle =
    (
      method: 'status' | 'enc_keys' | 'dec_keys',
      run: (sae: string, other: string, request: FastifyRequest) => Promise<JsonObject> | JsonObject,
    ) =>
    async (request: FastifyRequest<{ Params: { sae: string } }>, reply: FastifyReply) => {
      const { status, body } = await answer(async () => run(callerOf(request), request.params.sae, request))
      options.onAnswer?.(method, status)
      const retryMs = retryAfterMs(body)
      if (retryMs !== undefined) reply.header('retry-after', Math.max(1, Math.ceil(retryMs / 1_000)))
      reply.code(status)
      return body === undefined ? reply.send() : reply.type('application/json').send(JSON.stringify(body))
    }

  const status = handle('status', (master, slave) => {
    const { kmeId, stored, max } = service.standing(slave)
    const { keysPerRequestMax, keyBitsMin, keyBitsMax, additionalSlavesMax } = service.limits
    return {
      source_KME_ID: options.kmeId,
      target_KME_ID: kmeId,
      master_SAE_ID: master,
      slave_SAE_ID: slave,
      key_size: KEY_BITS,
      stored_key_count: stored,
      max_key_count: max,
      max_key_per_request: keysPerRequestMax,
      max_key_size: keyBitsMax,
      min_key_size: keyBitsMin,
      max_SAE_ID_count: additionalSlavesMax,
      status_extension: options.extensionOf(kmeId),
    }
  })
  const encKeys = handle('enc_keys', async (master, slave, request) => {
    const { number, size, additional, direct } = readKeyRequest(request, service)
    pace(limiter.encKeys(master, number))
    return container(await service.issue(master, slave, { additional, count: number, bits: size, direct }))
  })
  const decKeys = handle('dec_keys', async (slave, master, request) => {
    const ids = readKeyIds(request)
    service.mustKnow(master)
    pace(limiter.decKeys(slave, master))
    try {
      return container(await service.claim(slave, master, ids))
    } catch (error) {
      if (error instanceof KeyServiceError && error.code === 'not-found') limiter.unknownKey(slave, master)
      throw error
    }
  })
  app.get('/api/v1/keys/:sae/status', status)
  app.route({ method: ['GET', 'POST'], url: '/api/v1/keys/:sae/enc_keys', handler: encKeys })
  app.route({ method: ['GET', 'POST'], url: '/api/v1/keys/:sae/dec_keys', handler: decKeys })
  app.setNotFoundHandler((_request, reply) => reply.code(400).send({ message: 'there is no such method' }))
  app.setErrorHandler((thrown, _request, reply) => {
    options.logger.debug({ error: errorMessage(thrown) }, 'a request to the KME was refused')
    return reply.code(400).send({ message: 'the request is not readable' })
  })
  return app

  async function answer(run: () => Promise<JsonObject>): Promise<{ status: number; body?: JsonObject }> {
    try {
      return { status: 200, body: await run() }
    } catch (error) {
      if (error instanceof FormatError) return { status: 400, body: { message: error.message } }
      if (error instanceof KeyServiceError) return refused(error)
      options.logger.error({ error: errorMessage(error) }, 'the KME failed at a request')
      return { status: 503, body: { message: ACCESS_ERROR } }
    }
  }
}

const RETRY_MS = 1_000

function refused(error: KeyServiceError): { status: number; body?: JsonObject } {
  const { code, message, facts } = error
  if (code === 'unauthorized') return { status: 401 }
  if (code === 'bad-request' || code === 'not-found') {
    const details = facts.details as Json[] | undefined
    return { status: 400, body: { message, ...(details && { details }) } }
  }
  const reason = {
    qat_reason: String(facts.reason ?? code.replace('-', '_')),
    qat_available: Number(facts.available ?? 0),
    qat_retry_after_ms: Math.ceil(Number(facts.retryMs ?? RETRY_MS)),
  }
  return { status: 503, body: { message: ACCESS_ERROR, details: [reason] } }
}

function refusal(reason: string, available: number, retryMs: number): KeyServiceError {
  return new KeyServiceError('unavailable', ACCESS_ERROR, { reason, available, retryMs })
}

function retryAfterMs(body: JsonObject | undefined): number | undefined {
  const [detail] = Array.isArray(body?.details) ? body.details : []
  const wait =
    detail !== null && typeof detail === 'object' && !Array.isArray(detail) && detail.qat_retry_after_ms
  return typeof wait === 'number' ? wait : undefined
}

function container(keys: readonly IssuedKey[]): JsonObject {
  const found = {
    keys: keys.map(({ id, bytes, hops }) => ({
      key_ID: id,
      key: toBase64(bytes),
      ...(hops > 1 && { key_extension: { qat_hops: hops } }),
    })),
  }
  for (const { bytes } of keys) bytes.fill(0)
  return found
}

interface KeyRequest {
  readonly number: number
  readonly size: number
  readonly additional: string[]
  readonly direct: boolean
}

/** Throws FormatError or KeyServiceError `bad-request`. */
function readKeyRequest(request: FastifyRequest, service: KeyService): KeyRequest {
  const given = request.method === 'GET' ? fromQuery(request, ['number', 'size']) : readBody(request)
  const { keysPerRequestMax, keyBitsMin, keyBitsMax, additionalSlavesMax } = service.limits
  const number = wholeNumber(given.number, 'number', 1)
  const size = wholeNumber(given.size, 'size', KEY_BITS)
  if (size % 8 !== 0) throw badRequest('size shall be a multiple of 8')
  if (number < 1 || number > keysPerRequestMax) {
    throw badRequest(`number shall be from 1 to ${keysPerRequestMax}`)
  }
  if (size < keyBitsMin || size > keyBitsMax) {
    throw badRequest(`size shall be from ${keyBitsMin} to ${keyBitsMax}`)
  }
  const additional = array(given.additional_slave_SAE_IDs ?? [], 'additional_slave_SAE_IDs', 0, IDS_MAX).map(
    (id) => text(id, 'an SAE id', SAE_BYTES_MAX),
  )
  if (additional.length > additionalSlavesMax) {
    throw badRequest(`additional_slave_SAE_IDs shall be ${additionalSlavesMax} at most`)
  }
  array(given.extension_optional ?? [], 'extension_optional', 0, IDS_MAX).map((each) =>
    object(each, 'an extension'),
  )
  return { number, size, additional, direct: mandatoryDirect(given.extension_mandatory) }
}

/** The one extension that is known: whether the key may pass through other KMEs. */
function mandatoryDirect(given: Json | undefined): boolean {
  const asked = array(given ?? [], 'extension_mandatory', 0, IDS_MAX).flatMap((each) =>
    Object.entries(object(each, 'an extension')),
  )
  const unknown = asked.filter(([name]) => name !== ROUTE_TYPE)
  if (unknown.length > 0) {
    const details = unknown.map(([name]) => ({ extension_mandatory_unsupported: name }))
    throw badRequest('not all extension_mandatory parameters are supported', details)
  }
  if (asked.some(([, value]) => value !== 'direct' && value !== 'indirect')) {
    throw badRequest('not all extension_mandatory request options could be met', [
      { [ROUTE_TYPE]: 'direct or indirect' },
    ])
  }
  return asked.some(([, value]) => value === 'direct')
}

function readKeyIds(request: FastifyRequest): string[] {
  if (request.method === 'GET') return [text(fromQuery(request, ['key_ID']).key_ID, 'key_ID', SAE_BYTES_MAX)]
  const { key_IDs: ids } = readBody(request)
  return array(ids, 'key_IDs', 1, IDS_MAX).map((each) => {
    return text(object(each, 'an element of key_IDs').key_ID, 'key_ID', SAE_BYTES_MAX).toLowerCase()
  })
}

function fromQuery(request: FastifyRequest, known: readonly string[]): JsonObject {
  const query = request.query as Record<string, unknown>
  const found: JsonObject = {}
  for (const [name, value] of Object.entries(query)) {
    if (!known.includes(name) || typeof value !== 'string') {
      throw badRequest(`${name.slice(0, 64)} is no parameter of this method, or is given twice`)
    }
    found[name] = name === 'key_ID' ? value.toLowerCase() : value
  }
  return found
}

/** Members that nobody asks for are passed over: clients in use send some. */
function readBody({ body }: FastifyRequest): JsonObject {
  if (!(body instanceof Uint8Array) || body.length === 0) return {}
  return object(parseJson(body, BODY_BYTES_MAX), 'the body')
}

function wholeNumber(value: Json | undefined, name: string, absent: number): number {
  const number = typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : (value ?? absent)
  if (typeof number === 'number' && Number.isSafeInteger(number) && number >= 0) return number
  throw badRequest(`${name} shall be a whole number`)
}

function badRequest(message: string, details?: Json[]): KeyServiceError {
  return new KeyServiceError('bad-request', message, details ? { details } : {})
}
