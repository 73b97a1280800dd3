/** What `npm start` shows, on screens as people have them. */
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { LinkView, NodeStatus } from '../../node/service.ts'
import { clusterView, type Feed, laidOut, Panel, type Screen } from '../../scripts/support/panel.ts'
import { BIN, run } from '../cli/run-qat.ts'

const NAMES = ['alpha', 'bravo', 'charlie', 'delta']
const ACCESS = {
  qat: 'node /home/somebody/quantum-audit-trail/node/bin/qat.js',
  token: `qat_${'x'.repeat(32)}`,
  policy: '/tmp/qat-a1b2c3/policy',
}

function view(leaves: number, feed: Partial<Feed> = {}) {
  const links = NAMES.flatMap((a, i) =>
    NAMES.slice(i + 1).map((b) => ({
      link: `${a}-${b}`,
      state: 'FRESH',
      fibre: 'up',
      keysStored: 12,
      keysMax: 512,
      keyAgeSeconds: leaves,
    })),
  ) as unknown as LinkView[]
  const rows = NAMES.map((name, i) => ({
    name,
    url: `http://127.0.0.1:${8_480 + i}`,
    status: {
      name,
      ledger: 'devnet.example/audit',
      role: i === 0 ? 'leader' : 'follower',
      term: 1,
      height: leaves,
      size: leaves,
      finalSize: leaves,
      pending: 0,
    } as NodeStatus,
    links,
  }))
  const whole = { total: 329, submitted: 0, final: 0, firstIndex: undefined, failure: undefined, ...feed }
  return clusterView(rows, whole, ACCESS)
}

/** As much of a terminal as the panel uses. */
class Terminal extends EventEmitter {
  readonly isTTY = true
  rows: number
  columns: number
  cells: string[][] = []
  scrolled = 0
  #row = 0
  #column = 0

  constructor(columns: number, rows: number) {
    super()
    this.columns = columns
    this.rows = rows
  }

  write(text: string): boolean {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: terminals are told what to do by them
    for (const [token] of text.matchAll(/\u001b\[\??\d*[a-zA-Z]|[^\u001b]/gu)) this.#take(token)
    return true
  }

  resize(columns: number, rows: number): void {
    // What was there is laid out anew in a way that nobody can foresee.
    this.cells = Array.from({ length: rows }, () => [...'leftover '.repeat(columns)].slice(0, columns))
    this.columns = columns
    this.rows = rows
    this.#row = rows - 1
    this.emit('resize')
  }

  text(): string[] {
    return this.cells.map((row) => row.join('').trimEnd())
  }

  #take(token: string): void {
    const row = () => {
      this.cells[this.#row] ??= []
      return this.cells[this.#row]!
    }
    if (token === '\u001b[H') [this.#row, this.#column] = [0, 0]
    else if (token === '\u001b[K') row().length = Math.min(row().length, this.#column, this.columns - 1)
    else if (token === '\u001b[J') {
      row().length = Math.min(row().length, this.#column, this.columns - 1)
      this.cells.length = this.#row + 1
    } else if (token === '\r') this.#column = 0
    else if (token === '\n') this.#next()
    else if (!token.startsWith('\u001b')) {
      if (this.#column === this.columns) {
        this.#next()
        this.#column = 0
      }
      row()[this.#column++] = token
    }
  }

  #next(): void {
    if (this.#row < this.rows - 1) this.#row++
    else this.scrolled++
  }
}

/** The rows that a terminal of this width shows of the lines. */
const wrapped = (lines: readonly string[], columns: number) =>
  lines.flatMap((line) =>
    Array.from({ length: Math.max(1, Math.ceil(line.length / columns)) }, (_, i) =>
      line.slice(i * columns, (i + 1) * columns).trimEnd(),
    ),
  )

describe('the view of npm start', () => {
  for (const [columns, rows] of [
    [80, 24],
    [120, 40],
    [40, 12],
    [200, 60],
    [42, 40], // one of the commands fills its row
  ] as const) {
    it(`has just what it should in ${columns}×${rows}, also as it changes`, () => {
      const terminal = new Terminal(columns, rows)
      const panel = new Panel(terminal as unknown as Screen)
      for (const step of [view(9), view(123_456, { failure: 'x'.repeat(70) }), view(10, { firstIndex: 7 })]) {
        panel.show(step)
        assert.deepEqual(terminal.text(), wrapped(laidOut(step, rows, columns), columns))
        assert.ok(terminal.text().length <= rows)
        assert.equal(terminal.scrolled, 0)
      }
      panel.close()
    })
  }

  it('has just what it should after the window was made smaller and larger', () => {
    const terminal = new Terminal(120, 40)
    const panel = new Panel(terminal as unknown as Screen)
    panel.show(view(100))
    for (const [columns, rows] of [
      [80, 24],
      [60, 10],
      [160, 50],
    ] as const) {
      terminal.resize(columns, rows)
      assert.deepEqual(terminal.text(), wrapped(laidOut(view(100), rows, columns), columns))
    }
    panel.close()
    assert.equal(terminal.listenerCount('resize'), 0)
  })

  it('shows every command whole where there is room for it, links only where there is more', () => {
    const [small, large] = [laidOut(view(1), 24, 80), laidOut(view(1), 40, 120)]
    for (const lines of [small, large]) {
      for (const command of ['status', 'log --type', 'prove INDEX', 'verify proof --policy', 'qkd eve']) {
        assert.ok(
          lines.some((line) => line.startsWith(`  qat ${command}`)),
          command,
        )
      }
      assert.equal(lines.at(-1), 'Ctrl-C stops the nodes.')
    }
    assert.ok(small.includes('  links keyed by simulated QKD: 6 FRESH (a larger window lists them)'))
    assert.ok(large.some((line) => line.startsWith('  alpha-bravo ')))
  })

  it('complains of options that it does not know in words', async () => {
    const script = fileURLToPath(new URL('../../scripts/start.ts', import.meta.url))
    for (const args of [['--bogus'], ['--nodes', '99'], ['--port', 'x']]) {
      const { code, stderr } = await run([`${BIN}/run.js`, script, ...args])
      assert.equal(code, 2)
      assert.match(stderr, /^(Unknown option '--bogus'|--(nodes|port) must be a whole number)/)
      assert.doesNotMatch(stderr, /\n\s+at /)
    }
  })
})
