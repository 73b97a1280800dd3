/**
 * The house rules that a compiler cannot hold: which storey may import which, what the pure storeys may not
 * touch, and what no file may be left with. Each table says what is forbidden and why.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const NO_PACKAGES: readonly RegExp[] = []
const ANY_PACKAGE = [/./]

/** Imports only go down. Nothing that runs imports from scripts/ or test/. */
const STOREYS = [
  {
    folder: 'src',
    mayImport: ['src'],
    packages: [/^@noble\/(?:hashes|post-quantum)\/[a-z0-9-]+\.js$/, /^canonicalize$/],
    why: 'the ledger runs unchanged in a browser, so it rests on three pure packages and on nothing else',
  },
  {
    folder: 'consensus',
    mayImport: ['src', 'consensus'],
    packages: NO_PACKAGES,
    why: 'ordering is a state machine that a seeded simulator replays step by step',
  },
  {
    folder: 'node',
    mayImport: ['src', 'consensus', 'node'],
    packages: ANY_PACKAGE,
    why: 'the process is the top storey; scripts and tests use it, never the other way round',
  },
]

/** Packages that have one home each, so that they can be replaced there. */
const HOMES = [
  {
    packages: /^(?:libp2p|@libp2p\/.+|@chainsafe\/libp2p-.+|@multiformats\/.+)$/,
    homes: [
      'node/net/libp2p-network.ts',
      'node/net/link.ts',
      'node/net/qkd-noise/encrypter.ts',
      'node/net/qkd-noise/link-stream.ts',
    ],
    why: 'the rest of the node speaks to the Network interface, which a simulation can implement in memory',
  },
  {
    packages: /^(?:classic-level|abstract-level)$/,
    homes: ['node/store/level.ts'],
    why: 'the stores speak to the Kv interface, and one file knows how LevelDB keeps its promises',
  },
]

/** What src/ and consensus/ may not touch. `example` is what the pattern must find. */
const IMPURE = [
  { example: `import 'node:fs'`, pattern: /['"]node:/, why: 'Node only: it does not exist in a browser' },
  { example: 'Buffer.from(x)', pattern: /\bBuffer\b/, why: 'Node only; Uint8Array does' },
  { example: 'process.env', pattern: /\bprocess\b/, why: 'Node only; settings are handed in' },
  {
    example: 'require("x")',
    pattern: /\brequire\s*\(/,
    why: 'imports stand at the top, where this test sees them',
  },
  {
    example: 'await import(x)',
    pattern: /\bimport\s*\(/,
    why: 'imports stand at the top, where this test sees them',
  },
  {
    example: 'globalThis.x',
    pattern: /\bglobalThis\b|\b(?:window|self)\./,
    why: 'a back door to all of this',
  },
  {
    example: 'setTimeout(f, 1)',
    pattern: /\bset(?:Timeout|Interval|Immediate)\b/,
    why: 'time is handed in as ticks',
  },
  { example: 'queueMicrotask(f)', pattern: /\bqueueMicrotask\b/, why: 'what runs when is up to the caller' },
  { example: 'Date.now()', pattern: /\bDate\.now\b/, why: 'the clock is handed in' },
  { example: 'new Date()', pattern: /\bnew Date\b(?!\(\s*[^)\s])/, why: 'the clock is handed in' },
  { example: 'performance.now()', pattern: /\bperformance\b/, why: 'the clock is handed in' },
  {
    example: 'Math.random()',
    pattern: /\bMath\.random\b/,
    why: 'randomness is handed in, so that a seed replays a run',
  },
  {
    example: 'crypto.randomUUID()',
    pattern: /\bcrypto\.|\brandom(?:Bytes|UUID)\b|\bgetRandomValues\b/,
    why: 'randomness is handed in',
  },
  { example: 'fetch(url)', pattern: /\bfetch\s*\(/, why: 'no network: whoever calls brings the bytes' },
  {
    example: 'new WebSocket(url)',
    pattern: /\b(?:WebSocket|XMLHttpRequest|EventSource|Worker)\b/,
    why: 'no network, no threads',
  },
  { example: 'localStorage.x', pattern: /\b(?:localStorage|sessionStorage|indexedDB)\b/, why: 'no disk' },
  {
    example: 'console.log(x)',
    pattern: /\bconsole\b/,
    why: 'results are returned and errors thrown, not printed',
  },
  {
    example: 'text.toLocaleString()',
    pattern: /\b(?:toLocale\w+|localeCompare|Intl)\b/,
    why: 'the same on every machine, in every language',
  },
]

/** The one file of the pure storeys that may name Date: it spells instants, and asks no clock. */
const DATE_HOME = 'src/json.ts'

/** What no file may be left with. */
const LEFT_OVER = [
  {
    example: 'TO' + 'DO',
    pattern: /\b(?:TO[D]O|FIXM[E]|XX[X])\b/,
    why: 'do it, or write it where someone will look for it',
  },
  {
    example: 'describe' + '.only(',
    pattern: /\b(?:describe|context|it|suite|test)\.only\s*\(/,
    why: 'it would silence every other test',
  },
  {
    example: 'it' + '.skip(',
    pattern: /\b(?:describe|context|it|suite|test)\.skip\s*\(|\bx(?:it|describe)\s*\(/,
    why: 'a test is mended or removed; what a machine lacks is asked for with this.skip()',
  },
]

interface File {
  readonly path: string
  /** Without comments, line numbers kept. */
  readonly code: string
  readonly text: string
}

/** Every source file below a folder of the repository; none if the folder is absent. */
function filesBelow(folder: string, extensions = /\.(?:ts|js)$/): File[] {
  const names = readdirSync(ROOT).includes(folder) ? readdirSync(join(ROOT, folder), { recursive: true }) : []
  return names
    .map((name) => posix.join(folder, String(name).replaceAll('\\', '/')))
    .filter((path) => extensions.test(path) && !path.includes('/node_modules/'))
    .map((path) => {
      const text = readFileSync(join(ROOT, path), 'utf8')
      return { path, text, code: withoutComments(text) }
    })
}

// Good enough for our own formatted code: a comment begins a line or follows white space.
function withoutComments(text: string): string {
  const blank = (found: string) => found.replace(/[^\n]/g, ' ')
  return text.replace(/(?<=^|\s)\/\*[\s\S]*?\*\//g, blank).replace(/(?<=^|\s)\/\/ .*/g, blank)
}

/** The specifiers of imports and re-exports; a relative one as a path from the root, with a leading slash. */
function importsOf({ path, code }: File): string[] {
  return [...code.matchAll(/\b(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g)].map(([, specifier]) =>
    specifier!.startsWith('.') ? posix.join('/', posix.dirname(path), specifier!) : specifier!,
  )
}

/** `path:line` of everything that `pattern` finds. */
function findings({ path, code }: File, pattern: RegExp, text = code): string[] {
  return text
    .split('\n')
    .flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : []))
}

const PURE = [...filesBelow('src'), ...filesBelow('consensus')]

describe('the house', () => {
  it('has files where this test looks for them', () => {
    for (const { folder } of STOREYS) assert.ok(filesBelow(folder).length > 10, folder)
    const [json] = PURE.filter(({ path }) => path === DATE_HOME)
    assert.deepEqual(importsOf(json!), ['canonicalize', '/src/bytes.ts', '/src/errors.ts', '/src/limits.ts'])
  })

  for (const { folder, mayImport, packages, why } of STOREYS) {
    it(`${folder}/ imports only from ${mayImport.join(', ')}: ${why}`, () => {
      const wrong = filesBelow(folder).flatMap((file) =>
        importsOf(file)
          .filter((specifier) =>
            specifier.startsWith('/')
              ? !mayImport.some((storey) => specifier.startsWith(`/${storey}/`))
              : !packages.some((pattern) => pattern.test(specifier)),
          )
          .map((specifier) => `${file.path} imports ${specifier}`),
      )
      assert.deepEqual(wrong, [])
    })
  }

  for (const { packages, homes, why } of HOMES) {
    it(`${homes.join(' and ')} alone import ${packages.source}: ${why}`, () => {
      const wrong = STOREYS.flatMap(({ folder }) => filesBelow(folder))
        .filter(({ path }) => !homes.includes(path))
        .flatMap((file) =>
          importsOf(file)
            .filter((specifier) => packages.test(specifier))
            .map((specifier) => `${file.path} imports ${specifier}`),
        )
      assert.deepEqual(wrong, [])
    })
  }

  for (const { example, pattern, why } of IMPURE) {
    it(`src/ and consensus/ do without ${example}: ${why}`, () => {
      assert.match(example, pattern)
      assert.deepEqual(
        PURE.flatMap((file) => findings(file, pattern)),
        [],
      )
    })
  }

  it(`only ${DATE_HOME} names Date: engines disagree on what else it parses`, () => {
    const wrong = PURE.filter(({ path }) => path !== DATE_HOME).flatMap((file) => findings(file, /\bDate\b/))
    assert.deepEqual(wrong, [])
  })

  for (const { example, pattern, why } of LEFT_OVER) {
    it(`no file is left with ${example}: ${why}`, () => {
      assert.match(example, pattern)
      const files = ['src', 'consensus', 'node', 'scripts', 'test', 'docker', 'integrations'].flatMap(
        (folder) => filesBelow(folder, /\.(?:ts|js|mjs|html|css|md|ya?ml|sh)$/),
      )
      assert.deepEqual(
        files.flatMap((file) => findings(file, pattern, file.text)),
        [],
      )
    })
  }
})
