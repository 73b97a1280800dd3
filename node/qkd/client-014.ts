/**
 * Keys by ETSI GS QKD 014 V1.1.1 from a KME of any make: an address and certificates are all that changes. The standard
 * leaves open how a KME says that it has no keys left, or does not know one yet; what is done about that follows what
 * KMEs do. Bodies are never logged, and what a KME sends is bounded before it is read.
 */
import { Agent, request } from 'node:https'
import { fromBase64 } from '../../src/bytes.ts'
import { type JsonObject, object, parseJson } from '../../src/json.ts'
import type { Clock } from '../clock.ts'
import { type KeyProvider, type KeyStatus, QkdError, type QkdKey } from './key-provider.ts'

export interface Client014Options {
  /** Such as https://127.0.0.1:8580; the path of the standard follows it. */
  readonly url: string
  /** PEM. */
  readonly ca: string
  readonly cert: string
  readonly key: string
  readonly clock: Clock
  /** From 0 to 1. */
  readonly random: () => number
  /** Of one call, with all its attempts. */
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 3_000
const ATTEMPT_MS = 2_000
const BACK_OFF_MS = 50
const ATTEMPTS_MAX = 6
const BODY_BYTES_MAX = 65_536
/** By whatever name: our own KME, others by their number of HTTP, and those that say it in words. */
const PERMANENT = /\b(size|extension)/i
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

interface Answer {
  readonly status: number
  /** Undefined if it is no JSON object. */
  readonly body: JsonObject | undefined
}

export interface Client014 extends KeyProvider {
  /** Other certificates for connections from now on. */
  renew(tls: { readonly ca: string; readonly cert: string; readonly key: string }): void
  close(): void
}

export function createClient014(options: Client014Options): Client014 {
  const { clock, ca, cert, key } = options
  // Certificates are always checked: keys of the wrong KME are worse than none.
  const agentOf = (tls: { ca: string; cert: string; key: string }) =>
    new Agent({ keepAlive: true, maxSockets: 8, ...tls, rejectUnauthorized: true })
  let agent = agentOf({ ca, cert, key })
  const base = options.url.replace(/\/+$/, '')

  const once = (method: 'GET' | 'POST', path: string, body: JsonObject | undefined, signal: AbortSignal) =>
    new Promise<Answer>((resolve, reject) => {
      const sent = request(`${base}/api/v1/keys/${path}`, {
        method,
        agent,
        signal,
        headers: { accept: 'application/json', ...(body && { 'content-type': 'application/json' }) },
      })
      sent.on('response', (response) => {
        const pieces: Buffer[] = []
        let length = 0
        response.on('data', (piece: Buffer) => {
          length += piece.length
          if (length > BODY_BYTES_MAX) response.destroy(new Error('the answer is too long'))
          else pieces.push(piece)
        })
        response.on('error', reject)
        response.on('end', () => {
          const bytes = Buffer.concat(pieces)
          resolve({ status: response.statusCode ?? 0, body: jsonOf(bytes) })
          for (const piece of [...pieces, bytes]) piece.fill(0)
        })
      })
      sent.on('error', reject)
      sent.end(body && JSON.stringify(body))
    })

  /** Asks until there is an answer that another attempt would not change. */
  const ask = async (
    call: { method: 'GET' | 'POST'; path: string; body?: JsonObject; retry: (answer: Answer) => boolean },
    given: AbortSignal | undefined,
  ): Promise<Answer> => {
    const deadline = clock.elapsed() + (options.timeoutMs ?? TIMEOUT_MS)
    let failure: unknown
    let last: Answer | undefined
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const left = deadline - clock.elapsed()
      if (left <= 0 || given?.aborted) break
      const signal = AbortSignal.any([
        AbortSignal.timeout(Math.ceil(Math.min(left, ATTEMPT_MS))),
        given ?? NEVER,
      ])
      try {
        last = await once(call.method, call.path, call.body, signal)
        if (!call.retry(last)) return last
      } catch (error) {
        failure = error
      }
      const wait = BACK_OFF_MS * 2 ** attempt * (0.5 + options.random())
      await new Promise<void>((resolve) => void clock.after(Math.min(wait, Math.max(0, left)), resolve))
    }
    if (last) return last
    const message = `The KME at ${base} does not answer. Is it running, and do both sides know the same authority?`
    throw new QkdError('kme-unavailable', message, {}, { cause: failure })
  }

  const status = async (peer: string, signal?: AbortSignal): Promise<KeyStatus> => {
    const path = `${encodeURIComponent(peer)}/status`
    const answer = await ask({ method: 'GET', path, retry: isWorthRetrying }, signal)
    if (answer.status !== 200 || !answer.body) throw refusalOf(answer, 'kme-refused')
    const { key_size: size, stored_key_count: stored, max_key_count: max } = answer.body
    return {
      keySizeBits: wholeNumber(size, 'key_size'),
      storedKeys: wholeNumber(stored, 'stored_key_count'),
      maxKeys: typeof max === 'number' ? max : 0,
      ...extensionOf(answer.body.status_extension),
    }
  }

  return {
    status,
    async getKey(peer, bits, signal) {
      const body = { number: 1, size: bits }
      const path = `${encodeURIComponent(peer)}/enc_keys`
      const answer = await ask({ method: 'POST', path, body, retry: isWorthRetrying }, signal)
      if (answer.status === 200) return keyOf(answer, bits)
      const empty =
        answer.status === 503 ||
        (answer.status === 400 &&
          !PERMANENT.test(messageOf(answer)) &&
          (await status(peer, signal).catch(() => undefined))?.storedKeys === 0)
      throw refusalOf(answer, empty ? 'no-keys' : 'kme-refused')
    },
    async getKeyById(master, id, bits, signal) {
      const body = { key_IDs: [{ key_ID: id }] }
      const path = `${encodeURIComponent(master)}/dec_keys`
      const retry = (answer: Answer) => isWorthRetrying(answer) || isUnknown(answer)
      const answer = await ask({ method: 'POST', path, body, retry }, signal)
      if (answer.status === 200) {
        const key = keyOf(answer, bits)
        if (key.id === id.toLowerCase()) return key
        key.bytes.fill(0)
        throw new QkdError('kme-answer', 'The KME gave another key than the one that was asked for.')
      }
      throw refusalOf(answer, isUnknown(answer) ? 'key-not-found' : 'kme-refused')
    },
    renew: (tls) => {
      for (const sockets of Object.values(agent.freeSockets))
        for (const socket of sockets ?? []) socket.destroy()
      agent = agentOf(tls)
    },
    close: () => agent.destroy(),
  }
}

const NEVER = new AbortController().signal

/** What may be over in a moment: trouble on the server's side, and too many calls at once. */
function isPassing({ status }: Answer): boolean {
  return status === 503 || status === 504 || status === 502 || status === 429
}

/** A KME that says when to come again, as ours does, is believed: that is later than anyone here waits. */
function isWorthRetrying(answer: Answer): boolean {
  const details = Array.isArray(answer.body?.details) ? answer.body.details : []
  const told = details.some((detail) => JSON.stringify(detail).includes('"qat_retry_after_ms"'))
  return isPassing(answer) && !told
}

/** The key may still be on its way between the KMEs. */
function isUnknown(answer: Answer): boolean {
  return answer.status === 404 || (answer.status === 400 && !PERMANENT.test(messageOf(answer)))
}

function refusalOf(answer: Answer, code: 'no-keys' | 'key-not-found' | 'kme-refused'): QkdError {
  const { status } = answer
  if (isPassing(answer) && code === 'kme-refused') {
    return new QkdError('kme-unavailable', `The KME answers ${status} and gives no key just now.`, { status })
  }
  const why = {
    'no-keys': 'The KME has no keys left for this link.',
    'key-not-found': 'The KME does not know the key.',
    'kme-refused':
      status === 401
        ? 'The KME does not know this application. Check the client certificate and the SAE ids.'
        : `The KME refuses (${status}): ${messageOf(answer).slice(0, 200) || 'it does not say why'}`,
  }[code]
  return new QkdError(code, why, { status })
}

function messageOf({ body }: Answer): string {
  return typeof body?.message === 'string' ? body.message : ''
}

function jsonOf(bytes: Uint8Array): JsonObject | undefined {
  try {
    return object(parseJson(bytes, BODY_BYTES_MAX), 'the answer')
  } catch {
    return undefined
  }
}

/** The one key of a key container. Throws QkdError `kme-answer`. */
function keyOf({ body }: Answer, bits: number): QkdKey {
  const keys = body?.keys
  const [first, ...more] = Array.isArray(keys) ? keys : []
  if (first === null || typeof first !== 'object' || Array.isArray(first) || more.length > 0)
    throw badAnswer()
  const { key_ID: id, key } = first
  if (typeof id !== 'string' || typeof key !== 'string' || !UUID.test(id.toLowerCase())) throw badAnswer()
  let bytes: Uint8Array
  try {
    bytes = fromBase64(key)
  } catch {
    throw badAnswer()
  }
  if (8 * bytes.length !== bits) {
    bytes.fill(0)
    throw badAnswer()
  }
  return { id: id.toLowerCase(), bytes }
}

function wholeNumber(value: unknown, name: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw new QkdError('kme-answer', `The status of the KME has no "${name}".`)
}

/** What our own KME adds; others leave it out. */
function extensionOf(value: unknown): Partial<KeyStatus> {
  if (value === null || typeof value !== 'object') return {}
  const {
    qat_link_state: linkState,
    qat_qber: qber,
    qat_skr_bps: rate,
    qat_simulated: simulated,
  } = value as JsonObject
  return {
    ...(typeof linkState === 'string' && { linkState }),
    ...(typeof qber === 'number' && { qber }),
    ...(typeof rate === 'number' && { secretKeyRate: rate }),
    ...(typeof simulated === 'boolean' && { simulated }),
  }
}

function badAnswer(): QkdError {
  return new QkdError('kme-answer', 'The answer of the KME holds no key of the size that was asked for.')
}
