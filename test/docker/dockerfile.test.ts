import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { DockerfileError, parseDockerfile, parsePairs, type Stage } from '../../docker/dockerfile.ts'
import { DEVNET_PORT, PEER_PORT_OFFSET } from '../../node/devnet/names.ts'
import { VERSION } from '../../node/version.ts'
import { describeGo } from '../support/go-module.ts'

const ROOT = new URL('../../', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8')
const manifest: { version: string; license: string; devDependencies: Record<string, string> } = JSON.parse(
  read('package.json'),
)
const stages = parseDockerfile(read('docker/Dockerfile'))
const [build, runtime] = stages as [Stage, Stage]

const texts = (stage: Stage, instruction: string) =>
  stage.steps.filter((step) => step.instruction === instruction).map(({ text }) => text)
const only = (stage: Stage, instruction: string) => {
  const found = stage.steps.filter((step) => step.instruction === instruction)
  assert.equal(found.length, 1, `one ${instruction}`)
  return found[0]!
}

describe('the Dockerfile', () => {
  it('builds in one stage and runs in another, on the Node that development uses', () => {
    assert.deepEqual([stages.length, build.name, runtime.name], [2, 'build', undefined])
    for (const { base } of stages) {
      assert.equal(base, `node:${manifest.devDependencies.node}-bookworm-slim`)
    }
  })

  it('installs what the lock file names, runs no install script, and leaves development behind', () => {
    assert.deepEqual(texts(build, 'RUN'), [
      'npm ci --ignore-scripts',
      'npm run build',
      'npm prune --omit=dev --ignore-scripts',
      'mkdir data',
    ])
  })

  it('runs nothing as root in the image that goes out', () => {
    assert.deepEqual(texts(runtime, 'RUN'), [])
    assert.match(only(runtime, 'USER').text, /^[1-9]\d*:[1-9]\d*$/)
    for (const { instruction, flags, text } of runtime.steps) {
      if (instruction !== 'COPY') continue
      // What the node's own user may write is its data and nothing else.
      assert.equal(flags.has('chown'), text.endsWith(' /data'), text)
    }
    assert.equal(only(runtime, 'VOLUME').text, '/data')
  })

  it('starts and is asked for its health without a shell', () => {
    assert.deepEqual(only(runtime, 'ENTRYPOINT').exec, [
      'node',
      '--max-semi-space-size=16',
      'node/bin/qat.js',
    ])
    assert.deepEqual(only(runtime, 'CMD').exec, ['start', '--dir', '/data'])
    const { flags, exec } = only(runtime, 'HEALTHCHECK')
    assert.equal(exec?.[0], 'node')
    assert.deepEqual([...flags.keys()], ['interval', 'timeout', 'start-period', 'retries'])
  })

  it('opens the ports that nodes have by default', () => {
    assert.equal(only(runtime, 'EXPOSE').text, `${DEVNET_PORT} ${DEVNET_PORT + PEER_PORT_OFFSET}`)
    const env = new Map(texts(runtime, 'ENV').flatMap((text) => [...parsePairs(text)]))
    assert.equal(env.get('QAT_RPC'), `http://127.0.0.1:${DEVNET_PORT}`)
  })

  it('labels the image with the release and the licence', () => {
    const labels = parsePairs(only(runtime, 'LABEL').text)
    const label = (name: string) => labels.get(`org.opencontainers.image.${name}`)
    assert.deepEqual([label('version'), label('licenses')], [VERSION, manifest.license])
    assert.equal(manifest.version, VERSION)
  })

  it('copies from the context what is there and what .dockerignore lets in, and .dockerignore no more', () => {
    const copied = stages
      .flatMap(({ steps }) => steps)
      .filter(({ instruction, flags }) => instruction === 'COPY' && !flags.has('from'))
      .flatMap(({ text }) => text.split(' ').slice(0, -1))
    const allowed = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1))
    assert.deepEqual([...new Set(copied)].toSorted(), allowed.toSorted())
    for (const path of copied) assert.ok(existsSync(new URL(path, ROOT)), path)
  })
})

describe('our reader of Dockerfiles', () => {
  it('joins lines, leaves out comments, fills in ARG, and tells flags and the exec form', () => {
    const source = [
      '# check=error=true',
      'ARG BASE=node:24',
      '',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: Docker fills it in
      'FROM ${BASE} AS one',
      'RUN --mount=type=cache,target=/x a \\',
      '  # a comment in the middle',
      '  --b=c',
      'CMD ["d", "e f"]',
    ].join('\n')
    const [stage] = parseDockerfile(source)
    assert.deepEqual([stage!.name, stage!.base], ['one', 'node:24'])
    const [run, cmd] = stage!.steps
    assert.deepEqual([run!.text, run!.exec], ['a --b=c', undefined])
    assert.deepEqual([...run!.flags], [['mount', 'type=cache,target=/x']])
    assert.deepEqual(cmd!.exec, ['d', 'e f'])
    assert.deepEqual(
      [...parsePairs('a=1 b.c="2 3"')],
      [
        ['a', '1'],
        ['b.c', '2 3'],
      ],
    )
  })

  for (const line of ['RUN x', 'FROM a\nADD b c', 'FROM a\nrun x', 'FROM a\nRUN', 'FROM a\nCMD [1]']) {
    it(`refuses ${JSON.stringify(line)}`, () => {
      assert.throws(() => parseDockerfile(line), DockerfileError)
    })
  }

  it('refuses pairs that are none', () => {
    assert.throws(() => parsePairs('a 1'), DockerfileError)
  })
})

describeGo(new URL('go/', import.meta.url), "BuildKit's own parser", (judge) => {
  it('reads the Dockerfile as we do, and has nothing to remark', () => {
    const read: { name: string; commands: string[] }[] = JSON.parse(
      judge('dockerfile', fileURLToPath(new URL('docker/Dockerfile', ROOT))),
    )
    assert.deepEqual(
      read.map(({ name, commands }) => [name, commands.map((command) => command.split(' ', 1)[0])]),
      stages.map(({ name = '', steps }) => [name, steps.map(({ instruction }) => instruction)]),
    )
    for (const [i, { commands }] of read.entries()) {
      for (const [j, command] of commands.entries()) {
        assert.ok(command.replace(/\s+/g, ' ').endsWith(stages[i]!.steps[j]!.text), command)
      }
    }
  })
})
