/** What a method may know of its caller, whatever the transport. */
import type { Principal } from '../service.ts'

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

export interface CallContext {
  /** Whom the caller's bearer token stands for. Throws ServiceError `unauthorized`. */
  principal(): Principal
  /** Counts a message's calls against the caller's rate. Throws RpcError `rate-limited`. */
  admit(calls: number): Promise<void>
  /** Present on a WebSocket only. */
  readonly subscriptions?: Subscriptions
}
