/** A few lines that keep up to date: rewritten in place in a terminal, printed now and then in a log. */
import type { ClusterStatus } from '../../node/service.ts'

export interface Feed {
  readonly total: number
  submitted: number
  final: number
  lastId: string
}

/** The view of a running devnet: nodes, leader, progress, and what to try next. */
export function clusterLines(
  cluster: ClusterStatus,
  feed: Feed,
  urls: readonly string[],
  token: string,
): string[] {
  const rows = cluster.nodes.map(({ name, role, height, size, finalSize, pending, online }, i) => {
    const shown = !online ? 'offline' : name === cluster.leader ? 'leader' : role
    const numbers = [height, size, finalSize, pending].map((value) => String(value).padStart(8))
    return `  ${name.padEnd(10)}${shown.padEnd(14)}${numbers.join('')}   ${urls[i] ?? ''}`
  })
  const ordered = cluster.nodes.reduce((most, { size }) => Math.max(most, size), 0)
  const certified = cluster.nodes.reduce((most, { finalSize }) => Math.max(most, finalSize), 0)
  const id = feed.lastId === '' ? 'ID' : feed.lastId
  const rpc = `--rpc ${urls[0]}`
  return [
    `Quantum Audit Trail · ledger ${cluster.ledger}`,
    '',
    `  ${'node'.padEnd(10)}${'role'.padEnd(14)}${'height'.padStart(8)}${'tree'.padStart(8)}${'final'.padStart(8)}${'pending'.padStart(8)}   JSON-RPC`,
    ...rows,
    '',
    `  leader ${cluster.leader ?? 'being elected'} · term ${cluster.term} · ${cluster.cosigners} of ${cluster.nodes.length} cosignatures make an entry final`,
    `  GitHub example events: ${feed.submitted - feed.final} pending · ${feed.final} final · ${feed.total} in all`,
    `  tree: ${ordered} leaves ordered · ${certified} final`,
    '',
    'Try next, in another terminal in this folder:',
    `  npx qat status ${rpc}`,
    `  npx qat prove ${id} ${rpc} --out proof && npx qat verify proof`,
    `  npx qat log ${rpc} --token ${token} --type com.example.deploy --source https://ci.example --subject web --data '{"ok":true}' --wait final`,
    '',
    'Ctrl-C stops the nodes.',
  ]
}

/** Without a terminal the whole view would flood a log: it is printed this seldom there. */
const PLAIN_EVERY_MS = 5_000

export class Panel {
  readonly #out: NodeJS.WriteStream
  #height = 0
  #printed = -PLAIN_EVERY_MS

  constructor(out: NodeJS.WriteStream) {
    this.#out = out
  }

  show(lines: readonly string[]): void {
    if (this.#out.isTTY) {
      const up = this.#height === 0 ? '' : `\u001b[${this.#height}A`
      this.#out.write(`${up}${lines.map((line) => `\u001b[2K${line}\n`).join('')}`)
      this.#height = this.#rows(lines)
      return
    }
    if (performance.now() - this.#printed < PLAIN_EVERY_MS) return
    this.#printed = performance.now()
    this.#out.write(`${lines.join('\n')}\n\n`)
  }

  /** Rows that the lines take at the terminal's present width. */
  #rows(lines: readonly string[]): number {
    const columns = this.#out.columns || 80
    return lines.reduce((rows, line) => rows + Math.max(1, Math.ceil(line.length / columns)), 0)
  }
}
