/** A few lines that keep up to date: rewritten in place in a terminal, printed now and then in a log. */
import type { LinkView, NodeStatus } from '../../node/service.ts'

export interface Feed {
  readonly total: number
  submitted: number
  final: number
  /** The first entry that became final: one to try a proof with. */
  firstId: string | undefined
}

/** A node as it answers for itself; without a status it does not answer. */
export interface NodeRow {
  readonly name: string
  readonly url: string
  readonly status: NodeStatus | undefined
  readonly links: readonly LinkView[]
}

/** The view of a running devnet: nodes, leader, progress, and what to try next. */
export function clusterLines(
  nodes: readonly NodeRow[],
  feed: Feed,
  { token, policyPath }: { readonly token: string; readonly policyPath: string },
): string[] {
  const answers = nodes.flatMap(({ status }) => (status ? [status] : []))
  const ledger = answers[0]?.ledger ?? ''
  const leader = answers.find(({ role }) => role === 'leader')
  const most = (values: readonly number[]) => values.reduce((high, value) => Math.max(high, value), 0)
  const ordered = most(answers.map(({ size }) => size))
  const final = most(answers.map(({ finalSize }) => finalSize))
  const rpc = `--rpc ${nodes[0]?.url}`
  return [
    `Quantum Audit Trail · ledger ${ledger}`,
    '',
    row(['node', 'role', 'height', 'tree', 'final', 'pending', 'JSON-RPC']),
    ...nodes.map(({ name, url, status }) =>
      status
        ? row([name, status.role, status.height, status.size, status.finalSize, status.pending, url])
        : row([name, 'no answer', '-', '-', '-', '-', url]),
    ),
    '',
    ...linkLines(nodes),
    '',
    `  leader ${leader?.name ?? 'being elected'} · term ${most(answers.map(({ term }) => term))}`,
    `  leaves: ${ordered - final} ordered, ${final} final`,
    `  GitHub example events: ${feed.submitted - feed.final} pending, ${feed.final} of ${feed.total} final`,
    '',
    'Try next, in another terminal in this folder:',
    `  npx qat status ${rpc}`,
    `  npx qat prove ${feed.firstId ?? 'ID'} ${rpc} --out proof && npx qat verify proof --policy ${policyPath}`,
    `  npx qat log ${rpc} --token ${token} --type com.example.deploy --source https://ci.example --subject web --data '{"ok":true}' --wait final`,
    `  npx qat qkd eve alpha-bravo --fraction 0.5 ${rpc} --token ${token}`,
    '',
    'Ctrl-C stops the nodes.',
  ]
}

function row([name, role, height, tree, final, pending, url]: readonly (string | number)[]): string {
  const numbers = [height, tree, final, pending].map((value) => String(value).padStart(9))
  return `  ${String(name).padEnd(10)}${String(role).padEnd(10)}${numbers.join('')}   ${url}`
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

/** Each link once, though both of its ends know it. */
function linkLines(nodes: readonly NodeRow[]): string[] {
  const links = new Map(nodes.flatMap(({ links: own }) => own).map((link) => [link.link, link]))
  if (links.size === 0) return []
  const cells = (link: LinkView) => {
    const qber = link.qber === undefined ? '-' : `${(100 * link.qber).toFixed(1)} %`
    const age = link.keyAgeSeconds === undefined ? '-' : `${link.keyAgeSeconds} s`
    return [link.link, link.state, link.fibre, qber, `${link.keysStored} keys`, age]
  }
  const line = (values: readonly string[]) =>
    `  ${values.map((value, i) => value.padEnd(WIDTHS[i]!)).join('')}`.trimEnd()
  return [
    line(['link', 'keyed', 'fibre (sim)', 'QBER', 'stored', 'key age']),
    ...[...links.values()].toSorted((a, b) => (a.link < b.link ? -1 : 1)).map((link) => line(cells(link))),
  ]
}

const WIDTHS = [20, 8, 13, 9, 11, 8]
