import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseDockerfile } from '../../docker/dockerfile.ts'
import { pathIn, rehearse } from '../../docker/rehearsal.ts'

describe('the rehearsal of an image', () => {
  let scratch = ''
  beforeEach(() => {
    scratch = mkdtempSync(join(tmpdir(), 'qat-rehearsal-'))
    mkdirSync(join(scratch, 'context/src'), { recursive: true })
    for (const file of ['a', 'b', 'src/c']) writeFileSync(join(scratch, 'context', file), file)
  })
  afterEach(() => rmSync(scratch, { recursive: true, force: true }))

  const imageOf = (...lines: string[]) =>
    rehearse({
      stages: parseDockerfile(['FROM x AS build', ...lines].join('\n')),
      context: join(scratch, 'context'),
      scratch: mkdtempSync(join(scratch, 'image-')),
      onStep: () => undefined,
    })

  it('copies files into folders, files to names, and what is in a folder', () => {
    const image = imageOf('WORKDIR /app', 'COPY a b ./', 'COPY a /etc/name', 'COPY src ./lib/')
    const text = (path: string) => readFileSync(pathIn(image, path), 'utf8')
    assert.deepEqual(['a', '/app/b', '/etc/name', 'lib/c'].map(text), ['a', 'b', 'a', 'src/c'])
  })

  it('takes from an earlier stage only what is copied', () => {
    const image = imageOf(
      'WORKDIR /one',
      'RUN echo 1 >made',
      'FROM y',
      'WORKDIR /two',
      'COPY --from=build /one/made ./',
    )
    assert.equal(readFileSync(pathIn(image, 'made'), 'utf8'), '1\n')
    assert.ok(!existsSync(pathIn(image, '/one')))
  })

  it('runs on the Node that runs us, and remembers how the image starts', () => {
    const image = imageOf(
      'ENV X=1',
      'RUN node -p process.version+process.env.X >out',
      'USER 7:8',
      'CMD ["a"]',
      'ENTRYPOINT ["b"]',
    )
    assert.equal(readFileSync(pathIn(image, 'out'), 'utf8'), `${process.version}1\n`)
    assert.deepEqual(
      [image.user, image.env, image.cmd, image.entrypoint],
      [{ uid: 7, gid: 8 }, { X: '1' }, ['a'], ['b']],
    )
  })

  it('fails as the build would', () => {
    assert.throws(() => imageOf('RUN echo why; exit 3'), /RUN echo why.*failed.\nwhy/)
    assert.throws(() => imageOf('COPY missing ./'), /ENOENT/)
    assert.throws(() => imageOf('USER node'), /A user is <uid>:<gid>/)
    assert.throws(() => imageOf('COPY --from=nowhere /a ./'), /no stage nowhere/)
  })

  it('touches nothing of this machine', () => {
    for (const command of ['rm /etc/x', 'cp a ~/b', 'x >/tmp/y', 'x --out=/tmp/y']) {
      assert.throws(() => imageOf(`RUN ${command}`), /names no absolute path/, command)
    }
  })

  // A minute: a clean install, a build, and two nodes that run. `.ci/run` does it as a step of its own.
  const slow = process.env.QAT_SLOW === '1'
  it(`makes an image that runs${slow ? '' : ' (skipped: takes a minute, set QAT_SLOW=1)'}`, function () {
    if (!slow) this.skip()
    this.timeout(300_000)
    const root = fileURLToPath(new URL('../../', import.meta.url))
    const { status, stderr } = spawnSync(process.execPath, ['scripts/check-image.ts'], {
      cwd: root,
      encoding: 'utf8',
    })
    assert.equal(status, 0, stderr)
  })
})
