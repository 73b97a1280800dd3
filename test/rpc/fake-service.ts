/** A LedgerService that answers from memory, and a server in front of it on a free port. */
import { createHash } from 'node:crypto'
import { pino } from 'pino'
import { createMetrics } from '../../node/metrics.ts'
import type { RpcLimits } from '../../node/rpc/limits.ts'
import { createServer } from '../../node/rpc/server.ts'
import { createTokenStore } from '../../node/rpc/tokens.ts'
import {
  type BlockView,
  type CheckpointView,
  type EntryView,
  type LedgerEvent,
  type LedgerService,
  type MembershipView,
  ServiceError,
  type Stage,
  type Submission,
} from '../../node/service.ts'
import { utf8 } from '../../src/bytes.ts'
import { nobleDeterministicSuite } from '../../src/crypto/noble.ts'
import { canonicalJson, type JsonObject, object, parseJson } from '../../src/json.ts'
import { type Entry, signEntry } from '../../src/ledger/entry.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'

export const HASH = 'ab'.repeat(32)
export const TOKEN = 'pipeline-token-0123456789'
export const EVENT = {
  specversion: '1.0',
  id: 'build-1',
  source: 'https://ci.example/builds',
  type: 'dev.cdevents.build.finished.0.2.0',
  subject: 'build/1',
  time: '2026-01-31T12:00:00Z',
  datacontenttype: 'application/json',
  data: { ok: true },
}

/** A real entry, signed once for all tests. */
export const ENTRY: Entry = await signEntry(
  PAYLOAD_TYPES.event,
  canonicalJson(EVENT),
  nobleDeterministicSuite.signer('ML-DSA-65', new Uint8Array(32)),
)
export const ENVELOPE: JsonObject = object(parseJson(ENTRY.bytes, ENTRY.bytes.length), 'The envelope')

export const VIEW: EntryView = {
  id: ENTRY.id,
  status: 'final',
  index: 7,
  height: 2,
  entry: ENVELOPE,
  recorded: '2026-01-31T12:00:01.000Z',
  submitter: 'ci',
}

export const BLOCK: BlockView = {
  height: 2,
  term: 1,
  hash: HASH,
  previous: HASH,
  proposer: 'north',
  time: '2026-01-31T12:00:01.000Z',
  firstIndex: 7,
  count: 1,
  entriesRoot: HASH,
  size: 9,
  root: HASH,
  entries: [ENTRY.id],
  seal: { payload: '', payloadType: PAYLOAD_TYPES.seal, signatures: [] },
}

export const READY = { reads: true, entries: true, final: true }

export const CHECKPOINT: CheckpointView = {
  origin: 'example.org/ledger',
  size: 9,
  root: 'q'.repeat(43).concat('='),
  height: 2,
  note: 'example.org/ledger\n9\n',
}

export const MEMBERSHIP: MembershipView = {
  ledger: 'example.org/ledger',
  sequence: 0,
  cosigners: 1,
  adminQuorum: 1,
  members: [],
}

export interface FakeService extends LedgerService {
  /** What was asked, in order: the method's name and its arguments. */
  readonly asked: [string, ...unknown[]][]
  /** Tells every subscriber. */
  emit(event: LedgerEvent): void
  listeners(): number
}

/** `overrides` replace single answers, to throw or to wait. */
export function fakeService(overrides: Partial<LedgerService> = {}): FakeService {
  const asked: [string, ...unknown[]][] = []
  const listeners = new Set<(event: LedgerEvent) => void>()
  const reached = (id: string, stage: Stage): Submission => {
    return { id, status: stage === 'final' ? 'final' : 'ordered', index: 7, height: 2 }
  }
  const service: LedgerService = {
    submit: async (entry, stage) => reached(entry.id, stage),
    signers: async ({ signatures }) =>
      signatures.map(({ keyid }) => keyid ?? ENTRY.envelope.signatures[0]!.keyid),
    submitEvents: async (_events, _principal, stage) => reached(HASH, stage),
    async submission(id) {
      if (id !== HASH) throw new ServiceError('not-found', 'No such submission.', { id })
      return { id, status: 'pending' }
    },
    entry: async () => VIEW,
    query: async () => ({ entries: [VIEW], next: 7 }),
    block: async () => BLOCK,
    checkpoint: async () => CHECKPOINT,
    inclusion: async () => [HASH],
    consistency: async () => [HASH, HASH],
    bundle: async (id) => ({
      id,
      entry: '{}',
      proof: 'c2sp.org/tlog-proof@v1\n',
      records: '{}',
      policy: 'quorum q\n',
    }),
    barrier: async () => {},
    policy: () => 'quorum q\n',
    policyUpdates: async () => Uint8Array.of(0, 0),
    membership: () => MEMBERSHIP,
    genesis: () => ({ id: HASH, genesis: 'AAAA' }),
    sync: async () => Uint8Array.of(1, 2, 3),
    status: () => ({
      name: 'north',
      ledger: 'example.org/ledger',
      genesis: HASH,
      version: '0.1.0',
      role: 'leader',
      leader: 'north',
      term: 1,
      height: 2,
      size: 9,
      finalSize: 9,
      pending: 0,
      peers: ['south'],
      sequence: 0,
      ready: READY,
    }),
    cluster: () => ({
      ledger: 'example.org/ledger',
      leader: 'north',
      term: 1,
      cosigners: 4,
      sequence: 0,
      ready: READY,
      nodes: [
        {
          name: 'north',
          kind: 'validator',
          role: 'leader',
          height: 2,
          size: 9,
          finalSize: 9,
          pending: 0,
          online: true,
        },
      ],
      evidence: [],
    }),
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    ...overrides,
  }
  const recorded = Object.fromEntries(
    Object.entries(service).map(([name, answer]: [string, (...args: never[]) => unknown]) => [
      name,
      (...args: never[]) => {
        asked.push([name, ...args.filter((arg) => typeof arg !== 'function')])
        return answer(...args)
      },
    ]),
  ) as unknown as LedgerService
  return {
    ...recorded,
    asked,
    emit: (event) => {
      for (const listener of listeners) listener(event)
    },
    listeners: () => listeners.size,
  }
}

export const sha256Hex = (text: string) => createHash('sha256').update(utf8(text)).digest('hex')

export interface Harness {
  readonly url: string
  readonly service: FakeService
  /** Lines that the server logged. */
  readonly logged: string[]
  /** Value of qat_rpc_requests_total. */
  counted(method: string, outcome: string): Promise<number>
  close(): Promise<void>
}

export async function startServer(
  overrides: Partial<LedgerService> = {},
  options: { limits?: Partial<RpcLimits>; port?: number } = {},
): Promise<Harness> {
  const service = fakeService(overrides)
  const logged: string[] = []
  const metrics = createMetrics({ node: 'north', ledger: 'example.org/ledger' })
  const server = await createServer({
    service,
    links: { links: async () => [], disturb() {} },
    tokens: createTokenStore([{ name: 'ci', sha256: sha256Hex(TOKEN), sources: ['*'], types: ['*'] }]),
    names: ['ledger.example', '2001:db8::7'],
    metrics,
    logger: pino({ level: 'info' }, { write: (line) => logged.push(line) }),
    limits: { closeGraceMs: 200, ...options.limits },
  })
  const url = await server.listen({ host: '127.0.0.1', port: options.port ?? 0 })
  return {
    url,
    service,
    logged,
    async counted(method, outcome) {
      const { values } = await metrics.rpcRequests.get()
      return values.find(({ labels }) => labels.method === method && labels.outcome === outcome)?.value ?? 0
    },
    close: () => server.close(),
  }
}

/** Posts a raw body; the answer as status, headers and parsed JSON (undefined if empty). */
export async function post(url: string, body: string | Uint8Array, headers: Record<string, string> = {}) {
  const response = await fetch(`${url}/rpc`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: body as BodyInit,
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    json: text === '' ? undefined : JSON.parse(text),
  }
}

/** One call with an id of 1. */
export async function call(url: string, method: string, params?: unknown, headers?: Record<string, string>) {
  const { json } = await post(url, JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }), headers)
  return json
}
