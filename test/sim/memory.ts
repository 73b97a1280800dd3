/**
 * Watches a node whose disk was replaced by an old copy, without its knowledge. Shown a cosignature of its own
 * that its disk knows nothing of, it must mark its store as one that may have forgotten promises.
 */
import { decodeSyncAnswer } from '../../node/core/sync.ts'
import type { Network } from '../../node/net/network.ts'
import { META } from '../../node/store/keys.ts'
import type { KvWrite } from '../../node/store/kv.ts'
import { equalBytes, fromU64 } from '../../src/bytes.ts'
import { cosignerName } from '../../src/ledger/membership.ts'
import { parseCheckpoint } from '../../src/notes/checkpoint.ts'
import { parseNote } from '../../src/notes/note.ts'
import type { Life } from './life.ts'
import type { SimNode } from './node.ts'

/** What was under way when it was shown may still overtake it, and sign that size anew. */
const MEANWHILE_MS = 200
/** Opening the replica anew takes some writes to a slow disk. */
const PATIENCE_MS = 5_000

export class Memory {
  readonly #node: SimNode
  readonly #fail: (finding: string) => void
  /** It has marked its store. */
  #marked = false

  constructor(node: SimNode, fail: (finding: string) => void) {
    this.#node = node
    this.#fail = fail
  }

  writes(batch: readonly KvWrite[]): void {
    for (const { key, value } of batch) {
      if (value !== undefined && equalBytes(key, META.recovering)) this.#marked = true
    }
  }

  /** The network as this node uses it. */
  network(port: Network, life: Life): Network {
    return {
      ...port,
      request: async (to, bytes, timeoutMs) => {
        const answer = await port.request(to, bytes, timeoutMs)
        this.#shown(answer, life)
        return answer
      },
    }
  }

  #shown(answer: Uint8Array, life: Life): void {
    const size = ownSize(this.#node.name, answer)
    if (size === undefined || size <= this.#cosigned || this.#marked) return
    life.later(MEANWHILE_MS, () => {
      if (size <= this.#cosigned || this.#marked) return
      life.later(PATIENCE_MS, () => {
        const suspended = this.#node.ledger?.status().role === 'suspended'
        if (this.#marked || suspended || !life.alive) return
        this.#fail(`${this.#node.name} was shown its own cosignature of size ${size}, and goes on without it`)
      })
    })
  }

  get #cosigned(): number {
    return fromU64(this.#node.disk.durable(META.cosigned)!)
  }
}

/** The size of the certificate in an answer that bears this node's cosignature. */
function ownSize(name: string, answer: Uint8Array): number | undefined {
  try {
    const { certificate } = decodeSyncAnswer(answer)
    const { text, signatures } = parseNote(certificate)
    const { origin, size } = parseCheckpoint(text)
    return signatures.some((line) => line.name === cosignerName(origin, name)) ? size : undefined
  } catch {
    // Another kind of question.
    return undefined
  }
}
