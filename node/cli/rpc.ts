/** Calls to a node as commands make them: bounded in time, and repeated while the failure may pass. */
import { setTimeout as sleep } from 'node:timers/promises'
import { errorMessage, QatError } from '../../src/errors.ts'
import type { Json } from '../../src/json.ts'
import { createClient } from '../rpc/client.ts'
import { WAIT_MS_DEFAULT, WAIT_MS_MAX } from '../rpc/limits.ts'
import { STAGES, type Stage, type Submission } from '../service.ts'
import { printable } from './output.ts'
import { readReply, submission } from './replies.ts'

export interface Target {
  readonly rpc: string
  readonly token?: string
}

/** A node that was asked to wait answers when the wait is over: this much later, the connection is dead. */
const ANSWER_SLACK_MS = 2_000
const QUESTION_MS = 10_000
/** A linearizable read waits for a leader, as long as a node waits for anything unless told otherwise. */
export const LINEARIZABLE_MS = WAIT_MS_DEFAULT + ANSWER_SLACK_MS
/** Somebody who waits longer than this wants to know for what. */
const TELL_MS = 3_000
const BACKOFF_MS_MIN = 100
const BACKOFF_MS_MAX = 2_000

/** Failures after which the same question may be answered. */
const PASSING: ReadonlySet<string> = new Set([
  'unreachable',
  'overloaded',
  'rate-limited',
  'unavailable',
  'not-caught-up',
])

/** One question, answered or failed within `timeoutMs`. Throws RpcError for a refusal, else ClientError. */
export function ask(
  { rpc, token }: Target,
  method: string,
  params: Record<string, Json> = {},
  timeoutMs = QUESTION_MS,
): Promise<Json> {
  return createClient(rpc, { ...(token !== undefined && { token }), timeoutMs }).call(method, params)
}

/**
 * Asks until there is an answer that is not "later", or `budgetMs` is over: for questions that may be repeated.
 * `params` learns how long the node itself may wait. The last failure is thrown.
 */
export async function askUntil(
  target: Target,
  method: string,
  params: (waitMs: number) => Record<string, Json>,
  budgetMs: number,
): Promise<Json> {
  const endMs = performance.now() + budgetMs
  const patience = new Patience(target.rpc, endMs)
  for (let backoffMs = BACKOFF_MS_MIN; ; backoffMs = Math.min(2 * backoffMs, BACKOFF_MS_MAX)) {
    const waitMs = Math.min(WAIT_MS_MAX, Math.max(1, Math.round(endMs - performance.now())))
    try {
      return await patience.during(ask(target, method, params(waitMs), waitMs + ANSWER_SLACK_MS))
    } catch (error) {
      const delayMs = retryDelayMs(error, backoffMs)
      if (delayMs === undefined || performance.now() + delayMs >= endMs) throw error
      patience.tell(errorMessage(error))
      await sleep(delayMs)
    }
  }
}

/** Tells people, once, why their command does not go on. Scripts learn it from how the command ends. */
class Patience {
  readonly #rpc: string
  readonly #endMs: number
  #told = process.stderr.isTTY !== true

  constructor(rpc: string, endMs: number) {
    this.#rpc = rpc
    this.#endMs = endMs
  }

  async during<T>(answer: Promise<T>): Promise<T> {
    const timer = setTimeout(() => this.tell(`${this.#rpc} has not answered yet`), TELL_MS)
    return answer.finally(() => clearTimeout(timer))
  }

  tell(why: string): void {
    if (this.#told) return
    this.#told = true
    const left = Math.max(1, Math.round((this.#endMs - performance.now()) / 1_000))
    process.stderr.write(`qat: ${printable(why.replace(/\.$/, ''))}. Trying for ${left} s more.\n`)
  }
}

/** Waits until the submission is at `stage`; answers how far it is when `endMs` (performance.now) has passed. */
export async function follow(
  target: Target,
  first: Submission,
  stage: Stage,
  endMs: number,
): Promise<Submission> {
  let latest = first
  // A node waits a minute at most for one call, so a longer wait is several.
  while (!reached(latest, stage) && performance.now() < endMs) {
    const params = (timeoutMs: number) => ({ id: first.id, wait: stage, timeoutMs })
    const reply = await askUntil(target, 'submission.status', params, endMs - performance.now())
    latest = readReply(reply, submission)
  }
  return latest
}

export function reached({ status }: Submission, stage: Stage): boolean {
  return STAGES.indexOf(status) >= STAGES.indexOf(stage)
}

/** How long to wait before the same question makes sense again; undefined if it never does. */
function retryDelayMs(error: unknown, backoffMs: number): number | undefined {
  if (!(error instanceof QatError) || !PASSING.has(error.code)) return undefined
  const { retryAfterMs, lasting } = error.facts
  if (lasting === true) return undefined
  return typeof retryAfterMs === 'number' ? Math.max(retryAfterMs, BACKOFF_MS_MIN) : backoffMs
}
