/** What a method may know of its caller, whatever the transport. */
import type { Bringer, LinkService, Principal, Spend } from '../service.ts'
import type { Burden } from './load.ts'

export type Topic = 'blocks' | 'checkpoints' | 'entries'

/** Exact values, as in entry.query. */
export interface EntryFilter {
  readonly source?: string
  readonly type?: string
  readonly subject?: string
}

/** The subscriptions of one socket. */
export interface Subscriptions {
  /** Takes effect once the answer with the returned id is on its way. Throws at the socket's limit. */
  add(topics: readonly Topic[], filter: EntryFilter): string
  /** False if there is none of that id. */
  remove(id: string): boolean
}

/** What the transport knows; the rest is the same for all calls. */
export type Caller = Omit<CallContext, 'links' | 'spend'> & {
  /** What the message that holds the calls makes the node do and hold. */
  readonly burden: Burden
}

export interface CallContext {
  /** Whom the caller's bearer token stands for. Throws ServiceError `unauthorized`. */
  principal(): Principal
  /** Counts a message's calls against the caller's rate. Throws RpcError `rate-limited`. */
  admit(calls: number): Promise<void>
  /** By whom entries of this call are brought, as far as the transport knows. */
  readonly bringer?: Bringer
  /** Counts what reading for the answer has cost beside the answer's own bytes. */
  readonly spend: Spend
  /** How this node's links are keyed. */
  readonly links: LinkService
  /** Present on a WebSocket only. */
  readonly subscriptions?: Subscriptions
}
