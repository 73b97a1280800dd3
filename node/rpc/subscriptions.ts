/**
 * Hands each event of the ledger to the subscriptions that asked for it. An event is spelled once, however
 * many sockets hear of it, and the ledger is listened to only while someone subscribes.
 */
import { FormatError } from '../../src/errors.ts'
import { envelopeFromJson } from '../../src/ledger/dsse.ts'
import { type Claim, readClaims } from '../../src/ledger/event.ts'
import type { LedgerEvent, LedgerService } from '../service.ts'
import type { EntryFilter, Topic } from './context.ts'

export interface Subscription {
  readonly id: string
  readonly topics: readonly Topic[]
  readonly filter: EntryFilter
  /** Takes one notification; must not block. */
  readonly deliver: (text: string) => void
}

export interface Hub {
  add(subscription: Subscription): void
  /** False if it was not there. */
  remove(subscription: Subscription): boolean
}

/** `onError` hears of events that could not be delivered; the ledger, which tells of them, never does. */
export function createHub(service: Pick<LedgerService, 'subscribe'>, onError: (error: unknown) => void): Hub {
  const subscriptions = new Set<Subscription>()
  let stop: (() => void) | undefined

  function hear(event: LedgerEvent): void {
    try {
      deliver(event, subscriptions)
    } catch (error) {
      onError(error)
    }
  }

  return {
    add(subscription) {
      subscriptions.add(subscription)
      stop ??= service.subscribe(hear)
    },
    remove(subscription) {
      const found = subscriptions.delete(subscription)
      if (subscriptions.size === 0) {
        stop?.()
        stop = undefined
      }
      return found
    },
  }
}

function deliver(event: LedgerEvent, subscriptions: ReadonlySet<Subscription>): void {
  let text: string | undefined
  let claims: readonly Claim[] | undefined
  // A copy: delivering to a socket that is too slow ends its subscriptions.
  for (const { id, topics, filter, deliver } of [...subscriptions]) {
    if (!topics.includes(event.topic)) continue
    if (event.topic === 'entries' && Object.keys(filter).length > 0) {
      claims ??= claimsOf(event)
      if (!claims.some((claim) => fits(claim, filter))) continue
    }
    text ??= JSON.stringify(event)
    const params = `{"subscription":${JSON.stringify(id)},"event":${text}}`
    deliver(`{"jsonrpc":"2.0","method":"subscription","params":${params}}`)
  }
}

/** The ledger's own entries (membership) claim nothing that a filter could ask for. */
function claimsOf({ entry }: LedgerEvent & { topic: 'entries' }): readonly Claim[] {
  try {
    const { payloadType, payload } = envelopeFromJson(entry.entry)
    return readClaims(payloadType, payload)
  } catch (error) {
    if (error instanceof FormatError) return []
    throw error
  }
}

function fits(claim: Claim, filter: EntryFilter): boolean {
  return (
    (filter.source === undefined || filter.source === claim.source) &&
    (filter.type === undefined || filter.type === claim.type) &&
    (filter.subject === undefined || filter.subject === claim.subject)
  )
}
