/** Every method of the JSON-RPC interface, in one table: what it takes, what it answers, what it asks the node. */
import { type Static, type TObject, type TSchema, Type } from 'typebox'
import { toBase64 } from '../../src/bytes.ts'
import { entryFromJson } from '../../src/ledger/entry.ts'
import { keyIdsOf, readForeignEnvelope, withKeyIds } from '../../src/ledger/foreign-envelope.ts'
import { matches } from '../../src/ledger/pattern.ts'
import type { LedgerService, LinkChange } from '../service.ts'
import type { CallContext } from './context.ts'
import { type RpcErrorName, rpcError } from './errors.ts'
import { QUERY_LIMIT_DEFAULT, WAIT_MS_DEFAULT } from './limits.ts'
import { openRpcDocument } from './openrpc.ts'
import { decodeCursor, encodeCursor, timeParam } from './params.ts'
import * as s from './schemas.ts'

export interface Method<P extends TObject = TObject, R extends TSchema = TSchema> {
  readonly name: string
  readonly summary: string
  readonly params: P
  readonly result: R
  /** Errors of ours that a correct call may meet, beside the standard ones and `rate-limited`. */
  readonly errors: readonly RpcErrorName[]
  /** Works on a WebSocket only. */
  readonly socketOnly?: true
  /** Waits for something to happen, and says little: in a batch such calls wait together, not for one another. */
  readonly waits?: true
  /** Looks into the store, or says much: such calls take turns (load.ts). All others are answered at once. */
  readonly reads?: true
  /** A parameter whose numbers come as SpelledNumber where a double would change them. Needs a bearer token. */
  readonly asSpelled?: string
  handle(service: LedgerService, params: Static<P>, context: CallContext): s.Result<R> | Promise<s.Result<R>>
}

/** Lets each row infer its own types, and forgets them for the table. */
const method = <P extends TObject, R extends TSchema>(row: Method<P, R>): Method => row as unknown as Method

const SUBMISSION_ERRORS = ['refused', 'malformed', 'unavailable', 'event-conflict'] as const

export const METHODS: readonly Method[] = [
  method({
    name: 'entry.submit',
    summary: 'Submits a signed entry and waits until it has got as far as asked.',
    params: s.params({ entry: s.Envelope, ...s.waiting('ordered') }),
    result: s.Submission,
    errors: SUBMISSION_ERRORS,
    waits: true,
    async handle(service, { entry, wait = 'ordered', timeoutMs = WAIT_MS_DEFAULT }, { bringer }) {
      const given = readForeignEnvelope(entry)
      const keyids = keyIdsOf(given) ?? (await service.signers(given, bringer))
      return service.submit(entryFromJson(withKeyIds(given, keyids)), wait, timeoutMs, bringer)
    },
  }),
  method({
    name: 'event.submit',
    summary: 'Submits events that the node signs for a sender known by a bearer token.',
    params: s.params({ event: s.Events, ...s.waiting('ordered') }),
    result: s.Submission,
    errors: ['unauthorized', ...SUBMISSION_ERRORS],
    waits: true,
    asSpelled: 'event',
    handle: (service, { event, wait = 'ordered', timeoutMs = WAIT_MS_DEFAULT }, context) =>
      service.submitEvents(Array.isArray(event) ? event : [event], context.principal(), wait, timeoutMs),
  }),
  method({
    name: 'submission.status',
    summary: 'Says how far a submission is, at once or when it has got as far as asked.',
    params: s.params({ id: s.Hash, ...s.waiting('pending'), ...s.linearizable }),
    result: s.Submission,
    errors: ['not-found', 'refused', 'event-conflict', 'unavailable'],
    waits: true,
    handle: (service, { id, wait = 'pending', timeoutMs = WAIT_MS_DEFAULT }) =>
      service.submission(id, wait, timeoutMs),
  }),
  method({
    name: 'entry.get',
    summary: 'Gets an entry by its id or by its index in the tree.',
    params: s.params({ id: Type.Optional(s.Hash), index: Type.Optional(s.Index), ...s.linearizable }),
    result: s.EntryView,
    errors: ['not-found', 'unavailable'],
    reads: true,
    async handle(service, { id, index }) {
      if ((id === undefined) === (index === undefined)) {
        throw rpcError('invalid-params', 'Give exactly one of "id" and "index".')
      }
      return service.entry(id === undefined ? { index: index! } : { id })
    },
  }),
  method({
    name: 'entry.query',
    summary: 'Finds recorded entries by source, type, subject and time, page by page.',
    params: s.QueryParams,
    result: s.QueryPage,
    errors: ['unavailable'],
    reads: true,
    handle: query,
  }),
  method({
    name: 'entry.prove',
    summary: 'Makes the files by which anyone can verify an entry offline.',
    params: s.params({ id: s.Hash, since: Type.Optional(s.Index) }),
    result: s.BundleFiles,
    errors: ['not-found', 'not-final'],
    reads: true,
    handle: (service, { id, since }) => service.bundle(id, since),
  }),
  method({
    name: 'block.get',
    summary: 'Gets a block by its height.',
    params: s.params({ height: s.Index }),
    result: s.BlockView,
    errors: ['not-found'],
    reads: true,
    handle: (service, { height }, { spend }) => service.block(height, spend),
  }),
  method({
    name: 'checkpoint.get',
    summary: 'Gets the newest certificate.',
    params: s.params({}),
    result: s.CheckpointView,
    errors: ['not-final'],
    reads: true,
    handle: (service) => service.checkpoint(),
  }),
  method({
    name: 'proof.inclusion',
    summary: 'Proves the leaf at an index in the tree of a size (RFC 6962 section 2.1.1).',
    params: s.params({ index: s.Index, size: s.Index }),
    result: s.Hashes,
    errors: ['not-found'],
    reads: true,
    async handle(service, { index, size }) {
      if (index >= size) throw rpcError('invalid-params', '"index" must be less than "size".')
      return { hashes: await service.inclusion(index, size) }
    },
  }),
  method({
    name: 'proof.consistency',
    summary: 'Proves that the tree of one size is a prefix of a later one (RFC 6962 section 2.1.2).',
    params: s.params({ from: s.Index, to: s.Index }),
    result: s.Hashes,
    errors: ['not-found'],
    reads: true,
    async handle(service, { from, to }) {
      if (from > to) throw rpcError('invalid-params', '"from" must not exceed "to".')
      return { hashes: await service.consistency(from, to) }
    },
  }),
  method({
    name: 'ledger.sync',
    summary:
      'Gets final blocks from a height on with the certificate that proves them, for copies of the ledger, for holders of a token.',
    params: s.params({ from: s.Index }),
    result: s.SyncAnswer,
    errors: ['unauthorized'],
    reads: true,
    async handle(service, { from }, { principal }) {
      // Whole ledgers go to those whom the node knows.
      principal()
      return { answer: toBase64(await service.sync(from)) }
    },
  }),
  method({
    name: 'policy.get',
    summary: 'Gets the policy: all that a verifier needs.',
    params: s.params({}),
    result: s.Policy,
    errors: [],
    reads: true,
    handle: (service) => ({ policy: service.policy() }),
  }),
  method({
    name: 'policy.updates',
    summary: 'Gets the changes of membership that bring a policy of an earlier sequence up to date.',
    params: s.params({ since: s.Index }),
    result: s.PolicyUpdates,
    errors: [],
    reads: true,
    handle: async (service, { since }) => ({ updates: toBase64(await service.policyUpdates(since)) }),
  }),
  method({
    name: 'membership.get',
    summary: 'Gets the members and quorums in force. Changes of them are submitted by entry.submit.',
    params: s.params({}),
    result: s.Membership,
    errors: [],
    reads: true,
    handle: (service) => service.membership(),
  }),
  method({
    name: 'genesis.get',
    summary: 'Gets block 0, from which a node starts. Compare its id with one that you have from elsewhere.',
    params: s.params({}),
    result: s.Genesis,
    errors: [],
    reads: true,
    handle: (service) => service.genesis(),
  }),
  method({
    name: 'node.status',
    summary: 'Says how this node is.',
    params: s.params({}),
    result: s.NodeStatus,
    errors: [],
    handle: (service) => service.status(),
  }),
  method({
    name: 'cluster.status',
    summary: 'Says what this node knows of all nodes.',
    params: s.params({}),
    result: s.ClusterStatus,
    errors: [],
    handle: (service) => service.cluster(),
  }),
  method({
    name: 'qkd.status',
    summary: 'Says how the links of this node are keyed, and how the fibres are that key them.',
    params: s.params({}),
    result: s.QkdStatus,
    errors: [],
    handle: async (_service, _params, { links }) => ({ links: await links.links() }),
  }),
  method({
    name: 'qkd.disturb',
    summary: 'Does something to a simulated fibre, for holders of a token that may log "qkd.disturb".',
    params: s.Disturbance,
    result: s.Done,
    errors: ['unauthorized', 'not-found', 'unavailable'],
    handle: (_service, params, { links, principal }) => {
      const { types } = principal()
      if (!types.some((pattern) => matches(pattern, 'qkd.disturb'))) {
        throw rpcError('unauthorized', 'This token may not log "qkd.disturb", and so not change a fibre.')
      }
      links.disturb(params.link, linkChange(params))
      return { link: params.link, change: params.change }
    },
  }),
  method({
    name: 'subscribe',
    summary:
      'Tells of blocks, checkpoints or entries from now on, by notifications `subscription` with params ' +
      '{subscription, event}; see components.schemas.SubscriptionEvent.',
    params: s.SubscribeParams,
    result: s.Subscription,
    errors: [],
    socketOnly: true,
    handle: (_service, { topics, filter }, context) => {
      if (filter !== undefined && !topics.includes('entries')) {
        throw rpcError('invalid-params', '"filter" chooses among entries; ask for the topic "entries".')
      }
      return { subscription: context.subscriptions!.add(topics, filter ?? {}) }
    },
  }),
  method({
    name: 'unsubscribe',
    summary: 'Ends a subscription of this socket.',
    params: s.params({ subscription: s.Subscription.properties.subscription }),
    result: s.Subscription,
    errors: ['not-found'],
    socketOnly: true,
    handle: (_service, { subscription }, context) => {
      if (!context.subscriptions!.remove(subscription)) {
        throw rpcError('not-found', 'This socket has no such subscription.')
      }
      return { subscription }
    },
  }),
  method({
    name: 'rpc.discover',
    summary: 'Describes this interface (OpenRPC).',
    params: s.params({}),
    result: Type.Unsafe<object>({ type: 'object', description: 'An OpenRPC document' }),
    errors: [],
    reads: true,
    handle: () => discover(),
  }),
]

function linkChange({ change, fraction, dB }: Static<typeof s.Disturbance>): LinkChange {
  if (change === 'restore') return 'restore'
  if (change === 'cut') return { cut: true }
  const amount = change === 'eve' ? fraction : dB
  if (amount === undefined) {
    throw rpcError('invalid-params', `"${change}" needs ${change === 'eve' ? '"fraction"' : '"dB"'}.`)
  }
  return change === 'eve' ? { eve: amount } : { attenuation: amount }
}

async function query(
  service: LedgerService,
  { linearizable: _, ...params }: Static<typeof s.QueryParams>,
  { spend }: Pick<CallContext, 'spend'>,
): Promise<s.Result<typeof s.QueryPage>> {
  const { from, to, cursor, order = 'desc', limit = QUERY_LIMIT_DEFAULT, ...match } = params
  const query = {
    ...match,
    order,
    limit,
    ...(from === undefined ? {} : { from: timeParam(from, 'from') }),
    ...(to === undefined ? {} : { to: timeParam(to, 'to') }),
    ...(cursor === undefined ? {} : { after: decodeCursor(cursor, order) }),
  }
  const page = await service.query(query, spend)
  const { entries, next } = page
  return next === undefined ? { entries } : { entries, next: encodeCursor(order, next) }
}

let document: object | undefined

/** Made once: the table never changes. */
function discover(): object {
  document ??= openRpcDocument(METHODS)
  return document
}
