/**
 * The shapes of JSON-RPC parameters and results, as JSON Schema and as types in one. Result schemas mirror
 * node/service.ts; the compiler holds the two together where methods.ts returns one for the other.
 */
import { type Static, type TProperties, Type } from 'typebox'
import type { Json, JsonObject } from '../../src/json.ts'
import { EVIDENCE_KINDS } from '../../src/ledger/evidence.ts'
import { ATTRIBUTE_BYTES_MAX, BATCH_EVENTS_MAX, INDEX_MAX } from '../../src/limits.ts'
import { STAGES } from '../service.ts'
import { QUERY_LIMIT_DEFAULT, QUERY_LIMIT_MAX, WAIT_MS_DEFAULT, WAIT_MS_MAX } from './limits.ts'
import { TIME_PATTERN } from './params.ts'

/** Parameters: unknown names are refused. */
export const params = <P extends TProperties>(properties: P, options: object = {}) =>
  Type.Object(properties, { additionalProperties: false, ...options })

const { Optional } = Type

export const Hash = Type.String({ pattern: '^[0-9a-f]{64}$', description: '32 bytes in lower-case hex' })
export const Index = Type.Integer({ minimum: 0, maximum: INDEX_MAX })
const Time = Type.String({ description: 'RFC 3339, UTC' })
const Attribute = Type.String({ minLength: 1, maxLength: ATTRIBUTE_BYTES_MAX })
const Stage = Type.Enum([...STAGES], {
  description: 'received / committed by the cluster and applied here / covered by a certificate',
})

/** What is inside is read, and refused with narrower errors, by src/ledger. */
export const Envelope = Type.Unsafe<JsonObject>({
  type: 'object',
  description:
    'DSSE v1 envelope {payload, payloadType, signatures: [{keyid, sig}]} with ML-DSA signatures. Either base64 ' +
    'alphabet is taken; keyid is the RFC 7638 thumbprint, and may be left out where few members could have signed',
})

export const Events = Type.Unsafe<JsonObject | JsonObject[]>({
  type: ['object', 'array'],
  items: { type: 'object' },
  minItems: 1,
  maxItems: BATCH_EVENTS_MAX,
  description: 'A CloudEvents 1.0 event, or several that become one batch entry',
})

/** How long to wait for how much. */
export const waiting = (stage: (typeof STAGES)[number]) => ({
  wait: Optional(Type.Enum([...STAGES], { default: stage, description: 'Answer once it is this far' })),
  timeoutMs: Optional(
    Type.Integer({
      minimum: 0,
      maximum: WAIT_MS_MAX,
      default: WAIT_MS_DEFAULT,
      description: 'Answer after this time, however far it is',
    }),
  ),
})

/** Local reads are the default: a prefix of the ledger, newest at most a moment ago. */
export const linearizable = {
  linearizable: Optional(
    Type.Boolean({
      default: false,
      description: 'Ask the leader first, so that the answer misses nothing ordered before the call',
    }),
  ),
}

const filter = {
  source: Optional(Attribute),
  type: Optional(Attribute),
  subject: Optional(Attribute),
}

const moment = (description: string) => Optional(Type.String({ pattern: TIME_PATTERN, description }))

export const QueryParams = params({
  ...filter,
  ...linearizable,
  from: moment('Recorded at this RFC 3339 time or later'),
  to: moment('Recorded at this RFC 3339 time or earlier'),
  order: Optional(Type.Enum(['asc', 'desc'], { default: 'desc', description: 'By position in the ledger' })),
  limit: Optional(Type.Integer({ minimum: 1, maximum: QUERY_LIMIT_MAX, default: QUERY_LIMIT_DEFAULT })),
  cursor: Optional(Type.String({ maxLength: 32, description: 'The `next` of the page before' })),
})

export const SubscribeParams = params({
  topics: Type.Array(Type.Enum(['blocks', 'checkpoints', 'entries']), {
    minItems: 1,
    maxItems: 3,
    uniqueItems: true,
  }),
  filter: Optional(params(filter, { description: 'Only entries with exactly these values' })),
})

const submission = {
  id: Hash,
  status: Stage,
  index: Optional(Index),
  height: Optional(Index),
  duplicate: Optional(
    Type.Boolean({ description: 'The same event had been recorded: this names its entry' }),
  ),
}

export const Submission = Type.Object(submission)

export const EntryView = Type.Object({
  ...submission,
  entry: Envelope,
  recorded: Optional(Time),
  submitter: Optional(Type.String()),
})

export const QueryPage = Type.Object({
  entries: Type.Array(EntryView),
  next: Optional(Type.String({ description: 'Cursor of the next page; absent when there is no more' })),
})

export const BlockView = Type.Object({
  height: Index,
  term: Index,
  hash: Hash,
  previous: Hash,
  proposer: Type.String(),
  time: Time,
  firstIndex: Index,
  count: Index,
  entriesRoot: Hash,
  size: Index,
  root: Hash,
  entries: Type.Array(Hash),
  seal: Envelope,
})

export const CheckpointView = Type.Object({
  origin: Type.String(),
  size: Index,
  root: Type.String({ description: 'base64, as in the checkpoint' }),
  height: Index,
  note: Type.String({ description: 'C2SP signed note that satisfies the policy' }),
})

export const BundleFiles = Type.Object({
  id: Hash,
  entry: Type.String({ description: 'Canonical envelope: the leaf' }),
  proof: Type.String({ description: 'C2SP tlog-proof' }),
  records: Type.String({ description: "The ledger's records about the entry: FORMATS.md section 9" }),
  policy: Type.String({ description: 'C2SP tlog-policy' }),
})

/** RFC 6962 audit path or consistency proof. */
export const Hashes = Type.Object({ hashes: Type.Array(Hash) })

export const SyncAnswer = Type.Object({
  answer: Type.String({ description: 'base64 of a SyncAnswer: FORMATS.md section 12' }),
})

export const Policy = Type.Object({ policy: Type.String({ description: 'C2SP tlog-policy' }) })

export const PolicyUpdates = Type.Object({
  updates: Type.String({ description: 'base64 of a policy-updates file (src/FORMATS.md section 9)' }),
})

const progress = {
  name: Type.String(),
  role: Type.String(),
  height: Index,
  size: Index,
  finalSize: Index,
  pending: Index,
}

const Note = Type.String({ description: 'Why the answering node does not take part, in a sentence' })

const Ready = Type.Object(
  {
    reads: Type.Boolean({ description: 'It answers from what it has applied' }),
    entries: Type.Boolean({ description: 'It takes entries' }),
    final: Type.Boolean({ description: 'And what it takes becomes final' }),
  },
  { description: 'What the answering node can be asked for now' },
)

export const NodeStatus = Type.Object({
  ...progress,
  ledger: Type.String(),
  genesis: Type.String(),
  version: Type.String(),
  leader: Optional(Type.String()),
  term: Index,
  peers: Type.Array(Type.String()),
  sequence: Index,
  ready: Ready,
  note: Optional(Note),
})

export const ClusterStatus = Type.Object({
  ledger: Type.String(),
  leader: Optional(Type.String()),
  term: Index,
  cosigners: Index,
  sequence: Index,
  ready: Ready,
  nodes: Type.Array(
    Type.Object({
      ...progress,
      kind: Type.Enum(['validator', 'learner']),
      online: Type.Boolean(),
      seenMs: Optional(Type.Number({ minimum: 0 })),
    }),
  ),
  note: Optional(Note),
  evidence: Type.Array(
    Type.Object({ kind: Type.Enum([...EVIDENCE_KINDS]), accused: Type.String(), hash: Hash }),
    { description: 'Kept by this node, in its folder: two statements by one key that exclude each other' },
  ),
})

export const Membership = Type.Object({
  ledger: Type.String(),
  sequence: Type.Integer({ minimum: 0, maximum: INDEX_MAX, description: 'Changes so far' }),
  cosigners: Type.Integer({ minimum: 1, description: 'Cosignatures that make a certificate' }),
  adminQuorum: Type.Integer({ minimum: 1, description: 'Admin signatures that a change needs' }),
  members: Type.Array(Type.Unsafe<Json>({ type: 'object', description: 'A member record' })),
})

export const Genesis = Type.Object({
  id: Hash,
  genesis: Type.String({ description: 'Block 0, base64' }),
})

const Share = Type.Number({ minimum: 0, maximum: 1 })

export const QkdStatus = Type.Object({
  links: Type.Array(
    Type.Object({
      link: Type.String({ description: 'Both names, such as alpha-bravo' }),
      peer: Type.String(),
      connected: Type.Boolean(),
      state: Type.Enum(['FRESH', 'AGED', 'NONE']),
      keyAgeSeconds: Optional(Type.Number({ minimum: 0 })),
      qber: Optional(Share),
      secretKeyRate: Type.Number({ minimum: 0, description: 'Bits a second' }),
      keysStored: Index,
      keysMax: Index,
      fibre: Type.String({ description: 'OK, WARN, ALARM or DOWN of our own KME' }),
      lengthKm: Optional(Type.Number({ minimum: 0 })),
      blocks: Optional(Type.Record(Type.String(), Index)),
      leakedBits: Optional(Type.Number({ minimum: 0 })),
      efficiency: Optional(Type.Number({ minimum: 0 })),
      lastBlock: Optional(Time),
      simulated: Type.Boolean(),
    }),
  ),
})

export const Disturbance = params({
  link: Type.String({ minLength: 1, maxLength: 128, description: 'As qkd.status lists it' }),
  change: Type.Enum(['eve', 'attenuation', 'cut', 'restore']),
  fraction: Optional(Type.Number({ minimum: 0, maximum: 1, description: 'Of the pulses, for "eve"' })),
  dB: Optional(Type.Number({ minimum: 0, maximum: 100, description: 'For "attenuation"' })),
})

export const Done = Type.Object({ link: Type.String(), change: Type.String() })

export const Subscription = Type.Object({ subscription: Type.String({ minLength: 1, maxLength: 32 }) })

/** The `event` of a `subscription` notification: what LedgerEvent is on the wire. */
export const SubscriptionEvent = Type.Union([
  Type.Object({ topic: Type.Literal('blocks'), block: BlockView }),
  Type.Object({ topic: Type.Literal('checkpoints'), checkpoint: CheckpointView }),
  Type.Object({ topic: Type.Literal('entries'), entry: EntryView }),
])

/** Results may be read-only all the way down: they are written to the wire and never changed. */
export type Result<S extends Parameters<typeof Type.Array>[0]> = DeepReadonly<Static<S>>

type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T
