/** A view that keeps up to date: on a screen of its own in a terminal, printed now and then in a log. */
import type { LinkView, NodeStatus } from '../../node/service.ts'

export interface Feed {
  readonly total: number
  submitted: number
  final: number
  /** Index of the first entry that became final: one to try a proof with. */
  firstIndex: number | undefined
  /** Why the feed ended early. */
  failure: string | undefined
}

/** A node as it answers for itself; without a status it does not answer. */
export interface NodeRow {
  readonly name: string
  readonly url: string
  readonly status: NodeStatus | undefined
  readonly links: readonly LinkView[]
}

/** What it takes to try the ledger out in another terminal. */
export interface Access {
  /** The command `qat`, as a shell finds it from any folder. */
  readonly qat: string
  readonly token: string
  readonly policy: string
}

/** Lines that belong together. */
export interface Section {
  readonly lines: readonly string[]
  /** In their place where there is no room for them. */
  readonly short?: readonly string[]
  /** To be copied: long lines go on in the next row, rather than being cut. */
  readonly whole?: true
}

/** The view of a running devnet: nodes, leader, progress, and what to try next. */
export function clusterView(
  nodes: readonly NodeRow[],
  feed: Feed,
  { qat, token, policy }: Access,
): Section[] {
  const answers = nodes.flatMap(({ status }) => (status ? [status] : []))
  const ledger = answers[0]?.ledger ?? ''
  const leader = answers.find(({ role }) => role === 'leader')
  const most = (values: readonly number[]) => values.reduce((high, value) => Math.max(high, value), 0)
  const ordered = most(answers.map(({ size }) => size))
  const final = most(answers.map(({ finalSize }) => finalSize))
  return [
    { lines: [`Quantum Audit Trail · ledger ${ledger}`, ''] },
    {
      lines: [
        row(['node', 'role', 'height', 'tree', 'final', 'pending', 'JSON-RPC']),
        ...nodes.map(({ name, url, status }) =>
          status
            ? row([name, status.role, status.height, status.size, status.finalSize, status.pending, url])
            : row([name, 'no answer', '-', '-', '-', '-', url]),
        ),
        '',
      ],
    },
    ...linkSection(nodes),
    {
      lines: [
        `  leader ${leader?.name ?? 'being elected'} · term ${most(answers.map(({ term }) => term))} · leaves: ${ordered - final} ordered, ${final} final`,
        `  GitHub example events: ${feed.submitted - feed.final} pending, ${feed.final} of ${feed.total} final`,
        ...(feed.failure === undefined ? [] : [`  The feed of events ended: ${feed.failure}`]),
        '',
      ],
    },
    { lines: ['Try next, in another terminal:'] },
    {
      lines: [
        `  alias qat="${qat}"`,
        `  export QAT_RPC=${nodes[0]?.url}`,
        `  export QAT_TOKEN=${token}`,
        '  qat status',
        '  qat log --type com.example.deploy --source https://ci.example --subject web',
        `  qat prove ${feed.firstIndex ?? 'INDEX'} --out proof`,
        `  qat verify proof --policy ${policy}`,
        '  qat qkd eve alpha-bravo --fraction 0.5',
      ],
      whole: true,
    },
    { lines: ['', 'Ctrl-C stops the nodes.'], short: ['Ctrl-C stops the nodes.'] },
  ]
}

function row([name, role, height, tree, final, pending, url]: readonly (string | number)[]): string {
  const numbers = [height, tree, final, pending].map((value) => String(value).padStart(8))
  return `  ${String(name).padEnd(9)}${String(role).padEnd(10)}${numbers.join('')}  ${url}`
}

/** Each link once, though both of its ends know it; in short, how many are keyed how. */
function linkSection(nodes: readonly NodeRow[]): Section[] {
  const byName = new Map(nodes.flatMap(({ links: own }) => own).map((link) => [link.link, link]))
  const links = [...byName.values()].toSorted((a, b) => (a.link < b.link ? -1 : 1))
  if (links.length === 0) return []
  const cells = (link: LinkView) => {
    const qber = link.qber === undefined ? '-' : `${(100 * link.qber).toFixed(1)} %`
    const age = link.keyAgeSeconds === undefined ? '-' : `${link.keyAgeSeconds} s`
    return [link.link, link.state, link.fibre, qber, `${link.keysStored} keys`, age]
  }
  const line = (values: readonly string[]) =>
    `  ${values.map((value, i) => value.padEnd(WIDTHS[i]!)).join('')}`.trimEnd()
  const states = Map.groupBy(links, ({ state }) => state)
  const summary = [...states].map(([state, of]) => `${of.length} ${state}`).join(', ')
  return [
    {
      lines: [
        line(['link', 'keyed', 'fibre (sim)', 'QBER', 'stored', 'key age']),
        ...links.map((link) => line(cells(link))),
        '',
      ],
      short: [`  links keyed by simulated QKD: ${summary} (a larger window lists them)`, ''],
    },
  ]
}

const WIDTHS = [20, 8, 13, 9, 11, 8]

/**
 * The lines of a screen of so many rows and columns: sections that do not fit are shortened, the first that can be
 * first of all, and the last row says so if that is not enough.
 */
export function laidOut(sections: readonly Section[], rows: number, columns: number): string[] {
  const shortened = [...sections]
  const lay = () =>
    shortened.flatMap(({ lines, whole }) =>
      whole ? [...lines] : lines.map((line) => line.slice(0, columns - 1)),
    )
  for (const [i, { short }] of sections.entries()) {
    if (rowsOf(lay(), columns) <= rows) break
    if (short) shortened[i] = { lines: short }
  }
  const lines = lay()
  if (rowsOf(lines, columns) <= rows) return lines
  while (lines.length > 0 && rowsOf(lines, columns) > rows - 1) lines.pop()
  return [...lines, 'A larger window shows the rest. Ctrl-C stops the nodes.'.slice(0, columns - 1)]
}

function rowsOf(lines: readonly string[], columns: number): number {
  return lines.reduce((rows, line) => rows + Math.max(1, Math.ceil(line.length / columns)), 0)
}

/** Without a terminal the whole view would flood a log: it is printed this seldom there. */
const PLAIN_EVERY_MS = 5_000

const ESC = '\u001b['
const SCREEN_OF_ITS_OWN = { enter: `${ESC}?1049h${ESC}?25l`, leave: `${ESC}?25h${ESC}?1049l` }

export type Screen = Pick<NodeJS.WriteStream, 'isTTY' | 'rows' | 'columns' | 'write' | 'on' | 'off'>

/**
 * In a terminal the panel has the whole window, as `top` does: what was there before comes back when it is closed. So
 * nothing needs to be counted that the terminal may have wrapped, scrolled or laid out anew.
 */
export class Panel {
  readonly #out: Screen
  #latest: readonly Section[] = []
  #open = false
  #printed = -PLAIN_EVERY_MS

  constructor(out: Screen) {
    this.#out = out
  }

  show(sections: readonly Section[]): void {
    this.#latest = sections
    if (this.#out.isTTY) {
      if (!this.#open) {
        this.#open = true
        this.#out.write(SCREEN_OF_ITS_OWN.enter)
        this.#out.on('resize', this.#draw)
        process.once('exit', this.#leave)
      }
      this.#draw()
      return
    }
    if (performance.now() - this.#printed < PLAIN_EVERY_MS) return
    this.#printed = performance.now()
    this.#out.write(`${plain(sections)}\n\n`)
  }

  /** Gives the window back, with the newest view in it. */
  close(): void {
    if (!this.#open) return
    process.off('exit', this.#leave)
    this.#leave()
    this.#out.write(`${plain(this.#latest)}\n`)
  }

  readonly #draw = (): void => {
    const columns = this.#out.columns || 80
    const lines = laidOut(this.#latest, this.#out.rows || 24, columns)
    // From the upper left corner, the rest of each row and of the screen cleared; nothing after the last row. Behind a
    // row that is full there is no rest: the cursor still stands on its last character.
    const cleared = (line: string) =>
      line.length > 0 && line.length % columns === 0 ? line : `${line}${ESC}K`
    this.#out.write(`${ESC}H${lines.map(cleared).join('\r\n')}${ESC}J`)
  }

  readonly #leave = (): void => {
    this.#open = false
    this.#out.off('resize', this.#draw)
    this.#out.write(SCREEN_OF_ITS_OWN.leave)
  }
}

function plain(sections: readonly Section[]): string {
  return sections.flatMap(({ lines }) => lines).join('\n')
}
