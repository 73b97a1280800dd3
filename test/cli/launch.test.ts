/** The step before everything: which Node runs, and what happens to the process that stands in for it. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { until } from '../support/cluster.ts'
import { BIN, isAlive, QAT, type RunOptions, run, scratch, untilPrinted } from './run-qat.ts'

const RUN = join(BIN, 'run.js')

/** Makes this Node believe it is an old one, as `launch.js` sees it; the Node that it starts is not fooled. */
const pretend = (version: string, always = false): RunOptions => {
  const lie = `Object.defineProperty(process, 'version', { value: '${version}' })`
  const code = always ? lie : `if (!process.env.QAT_LAUNCHED) ${lie}`
  return { nodeArgs: ['--import', `data:text/javascript,${encodeURIComponent(code)}`] }
}
const OLD = pretend('v20.1.0')

describe('the launcher', () => {
  const { path } = scratch()
  const script = async (name: string, code: string) => {
    await writeFile(path(name), code)
    return path(name)
  }

  it('knows which versions will do', async () => {
    const module: unknown = await import(pathToFileURL(join(BIN, 'node-version.js')).href)
    const { isNewEnough } = module as { isNewEnough(version: string): boolean }
    const verdicts = ['v14.0.0', 'v23.11.1', 'v24.6.9', 'v24.7.0', 'v24.21.0', 'v25.0.0', 'v100.0.0-pre']
    assert.deepEqual(verdicts.map(isNewEnough), [false, false, false, true, true, true, true])
  })

  it('runs a TypeScript script with its arguments, its exit code and a large enough thread pool', async () => {
    const file = await script(
      'args.ts',
      `const pool: string | undefined = process.env.UV_THREADPOOL_SIZE
      console.log(JSON.stringify([process.version, process.argv.slice(1), Number(pool), process.env.QAT_LAUNCHED]))
      process.exitCode = 7`,
    )
    for (const options of [{}, OLD]) {
      const { code, stdout, stderr } = await run([RUN, file, 'a', '--b'], options)
      const [version, args, pool, launched] = JSON.parse(stdout)
      assert.deepEqual([version, args, launched, stderr], [process.version, [file, 'a', '--b'], null, ''])
      assert.ok(pool >= 4)
      assert.equal(code, 7)
    }
    const { stdout } = await run([RUN, file], { env: { UV_THREADPOOL_SIZE: '2' } })
    assert.equal(JSON.parse(stdout)[2], 2)
  })

  it('says in one sentence what is missing, where no new Node is to be found', async () => {
    await mkdir(path('bin', 'node', 'bin'), { recursive: true })
    for (const file of ['qat.js', 'run.js', 'launch.js', 'node-version.js']) {
      await copyFile(join(BIN, file), path('bin', 'node', 'bin', file))
    }
    await writeFile(path('bin', 'package.json'), '{"type":"module"}')
    for (const args of [
      ['qat.js', 'status'],
      ['run.js', QAT],
    ] as const) {
      const { code, stdout, stderr } = await run([path('bin', 'node', 'bin', args[0]), args[1]], OLD)
      assert.equal(code, 1)
      assert.equal(stdout, '')
      assert.match(stderr, /^[^\n]*needs Node 24\.7 or newer, this is v20\.1\.0: run "npm ci"[^\n]*\n$/)
    }
  })

  it('does not start itself over and over where the package brings an old Node, too', async () => {
    const { code, stderr } = await run([QAT, '--version'], pretend('v20.1.0', true))
    assert.equal(code, 1)
    assert.match(stderr, /^[^\n]*needs Node 24\.7[^\n]*\n$/)
  })

  it('refuses a script that is not there', async () => {
    for (const args of [[], [path('nowhere.ts')]]) {
      const { code, stderr } = await run([RUN, ...args])
      assert.equal(code, 2)
      assert.match(stderr, /^[^\n]*Usage: node node\/bin\/run\.js <script>[^\n]*\n$/)
    }
  })

  it('says in one sentence that an installation is broken', async () => {
    await mkdir(path('broken', 'node', 'bin'), { recursive: true })
    for (const file of ['qat.js', 'launch.js', 'node-version.js']) {
      await copyFile(join(BIN, file), path('broken', 'node', 'bin', file))
    }
    await writeFile(path('broken', 'package.json'), '{"type":"module"}')
    const { code, stderr } = await run([path('broken', 'node', 'bin', 'qat.js'), 'status'])
    assert.equal(code, 70)
    assert.match(stderr, /^qat: This installation does not work: [^\n]*\n$/)
  })

  it('passes signals on and ends as the command ended', async () => {
    const polite = await script(
      'polite.ts',
      `process.on('SIGTERM', () => process.exit(9)); setInterval(() => {}, 1e6); console.log('up')`,
    )
    const rude = await script('rude.ts', `setInterval(() => {}, 1e6); console.log('up')`)
    const ended = (file: string) =>
      run([RUN, file], {
        ...OLD,
        during: (child) => void untilPrinted(child, /up/).then(() => child.kill('SIGTERM')),
      })
    assert.equal((await ended(polite)).code, 9)
    assert.equal((await ended(rude)).signal, 'SIGTERM')
  })

  it('takes a long-running command along, also when it is killed outright', async () => {
    const module = pathToFileURL(join(BIN, '../cli/stop-request.ts')).href
    const file = await script(
      'patient.ts',
      `import { stopRequest } from '${module}'
      setInterval(() => {}, 1e6) // as a node would, it has reasons to stay
      console.log('pid=' + process.pid)
      await stopRequest()
      process.exit(0)`,
    )
    let pid = 0
    const { signal } = await run([RUN, file], {
      ...OLD,
      during: (child) =>
        void untilPrinted(child, /pid=\d+\n/).then((text) => {
          pid = Number(/\d+/.exec(text)?.[0])
          child.kill('SIGKILL')
        }),
    })
    assert.equal(signal, 'SIGKILL')
    await until(() => !isAlive(pid), 5_000)
  })

  it('hands over from the Node on the PATH, if that is an old one', async function () {
    let version = ''
    try {
      version = execFileSync('node', ['--version'], { encoding: 'utf8' })
    } catch {
      // none there
    }
    if (!/^v(1[4-9]|2[0-3])\./.test(version)) return this.skip()
    const { code, stdout, stderr } = await run([QAT, '--version'], { node: 'node' })
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, /^\d+\.\d+\.\d+\n$/)
  })
})
