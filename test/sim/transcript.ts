/** What happened lately: messages between nodes and notes about them. Told only when somebody wants to read it. */
import { decodeMessage } from '../../consensus/wire.ts'

export interface Line {
  readonly at: number
  readonly from: string
  /** Absent: a note about `from`. */
  readonly to?: string
  readonly arrives?: boolean
  readonly text: () => string
}

export class Transcript {
  readonly #keep: number
  readonly #now: () => number
  #lines: Line[] = []

  constructor(keep: number, now: () => number) {
    this.#keep = keep
    this.#now = now
  }

  note(node: string, text: () => string): void {
    this.#add({ at: this.#now(), from: node, text })
  }

  message(from: string, to: string, arrives: boolean, text: () => string): void {
    this.#add({ at: this.#now(), from, to, arrives, text })
  }

  /** The last lines, oldest first. */
  get lines(): readonly Line[] {
    return this.#lines.slice(-this.#keep)
  }

  #add(line: Line): void {
    this.#lines.push(line)
    if (this.#lines.length > 4 * this.#keep) this.#lines = this.#lines.slice(-this.#keep)
  }
}

export function describeRaft(bytes: Uint8Array): string {
  const message = decodeMessage(bytes)
  const head = `${message.kind} t${message.term}`
  switch (message.kind) {
    case 'pre-vote':
      return `${head} base ${message.base.height}/${message.base.term}`
    case 'vote':
      return `${head} base ${message.base.block.height}/${message.base.block.term}`
    case 'pre-vote-reply':
      return `${head} ${message.granted ? 'yes' : 'no'}`
    case 'vote-reply':
      return `${head} ${message.signature ? 'yes' : 'no'}`
    case 'lead':
      return `${head} ${message.leader} on ${message.base.block.height}/${message.base.block.term}`
    case 'append': {
      const blocks = message.blocks.map(({ height, hash }) => `${height}:${hash.slice(0, 4)}`).join(' ')
      return `${head} on ${message.prev.height} [${blocks}]`
    }
    case 'append-reply':
      return `${head} match ${message.match}`
    case 'append-reject':
      return `${head} not ${message.rejected}, try ${message.hint.height}/${message.hint.term}`
    case 'acknowledge':
    case 'locked':
      return `${head} ${message.height}:${message.hash.slice(0, 4)}`
    case 'heartbeat-reply':
    case 'behind':
      return `${head} c${message.commit}`
    case 'timeout-now':
      return `${head} ${message.to}`
    case 'ask':
    case 'heartbeat':
    case 'complaint':
      return head
  }
}
