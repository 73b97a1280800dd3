/**
 * Every failure that a caller may have to act on is a `QatError` with a stable `code`.
 *
 * Codes are lower-case words joined by hyphens and are part of the interface: they stand in JSON-RPC
 * error data, in `qat --json` output and in logs. Messages are for people, say what to do, and may change.
 */
export class QatError<Code extends string = string> extends Error {
  readonly code: Code
  /** Small, JSON-safe details: sizes, names, indexes. Never secrets. */
  readonly facts: Readonly<Record<string, unknown>>

  constructor(code: Code, message: string, facts: Record<string, unknown> = {}, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    this.code = code
    this.facts = facts
  }
}

/** Bytes or text that are not in the format they claim to be. Nothing was done with them. */
export class FormatError extends QatError<
  | 'too-large'
  | 'too-small'
  | 'truncated'
  | 'trailing-bytes'
  | 'bad-utf8'
  | 'bad-line-end'
  | 'bad-hex'
  | 'bad-base64'
  | 'bad-integer'
  | 'json-syntax'
  | 'json-duplicate-key'
  | 'json-too-deep'
  | 'json-not-canonical'
  | 'unknown-field'
  | 'missing-field'
  | 'bad-field'
  | 'bad-key'
  | 'bad-note'
  | 'bad-checkpoint'
  | 'bad-cosignature'
  | 'bad-policy'
  | 'bad-proof'
  | 'bad-entry'
  | 'bad-event'
  | 'bad-block'
  | 'bad-genesis'
  | 'bad-evidence'
  | 'unknown-payload-type'
> {}

/** Well-formed, but the rules of this ledger say no. Sending the same bytes again will not help. */
export class RefusedError extends QatError<
  | 'unknown-key'
  | 'bad-signature'
  | 'not-permitted'
  | 'wrong-ledger'
  | 'duplicate-entry'
  | 'event-conflict'
  | 'reserved-payload-type'
  | 'bad-chain'
  | 'bad-time'
  | 'bad-root'
  | 'not-a-member'
  | 'bad-change'
  | 'stale-change'
  | 'not-caught-up'
> {}

/** A proof bundle, or evidence, that does not convince. `code` says which step of the verification failed. */
export class ProofError extends QatError<
  | 'wrong-origin'
  | 'no-log-signature'
  | 'quorum-not-met'
  | 'bad-signature'
  | 'bad-inclusion'
  | 'bad-consistency'
  | 'no-contradiction'
  | 'wrong-accused'
  | 'wrong-submitter'
  | 'out-of-range'
  | 'bad-time'
> {}

/**
 * A rule that the ledger's safety rests on does not hold: a committed block would change, a root does not
 * match, the disk returned other bytes than were written. The process must stop and keep the evidence.
 */
export class InvariantError extends QatError<'invariant'> {
  constructor(message: string, facts: Record<string, unknown> = {}) {
    super('invariant', message, facts)
  }
}

/** Throws an InvariantError unless `condition` holds. For what can only be false through our own fault. */
export function invariant(
  condition: unknown,
  message: string,
  facts?: Record<string, unknown>,
): asserts condition {
  if (!condition) throw new InvariantError(message, facts)
}

/** The stable code of anything thrown, for logs, metrics and JSON output. */
export function errorCode(error: unknown): string {
  return error instanceof QatError ? error.code : 'internal'
}

/** The sentence of anything thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
