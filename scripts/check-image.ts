/**
 * Rehearses docker/Dockerfile on the last commit, where no Docker is needed: runs its very steps in a clean
 * folder, then founds a ledger of two nodes with the result, starts them by the image's own command, asks its
 * health check, records and proves an entry, and stops them as Docker would.
 *
 *     node node/bin/run.js scripts/check-image.ts
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkExports, checkPackage } from '../docker/check-package.ts'
import { checkRunning } from '../docker/check-running.ts'
import { parseDockerfile } from '../docker/dockerfile.ts'
import { type Image, pathIn, rehearse } from '../docker/rehearsal.ts'

const REPOSITORY = fileURLToPath(new URL('..', import.meta.url))

/** Throws where the image would not work. Prints what it does. */
async function checkImage(scratch: string): Promise<void> {
  const source = join(scratch, 'source')
  mkdirSync(source)
  const archive = execFileSync('git', ['archive', 'HEAD'], { cwd: REPOSITORY, maxBuffer: 2 ** 30 })
  execFileSync('tar', ['-x', '-C', source], { input: archive })
  const context = join(scratch, 'context')
  copyContext(source, context)

  const stages = parseDockerfile(readFileSync(join(source, 'docker/Dockerfile'), 'utf8'))
  const onStep = (step: { instruction: string; text: string }) =>
    say(`${step.instruction} ${step.text.slice(0, 90)}`)
  const image = rehearse({ stages, context, scratch, onStep })
  checkContents(image)
  say('The image holds what runs, and nothing else.')

  cpSync(pathIn(image, 'dist'), join(source, 'dist'), { recursive: true })
  checkPackage(source)
  checkExports(pathIn(image, '.'))
  say('The npm package holds what it promises, and Node can import it.')

  await checkRunning(image, join(scratch, 'ledger'), say)
}

/** The build context: what .dockerignore, which first leaves out everything, lets in again by name. */
function copyContext(source: string, context: string): void {
  const rules = readFileSync(join(source, '.dockerignore'), 'utf8').split('\n')
  const [first, ...rest] = rules.filter((line) => line !== '' && !line.startsWith('#'))
  assert.equal(first, '*', '.dockerignore begins by leaving out everything')
  for (const rule of rest) {
    assert.match(rule, /^![\w.-]+$/, '.dockerignore lets names in, one by one')
    cpSync(join(source, rule.slice(1)), join(context, rule.slice(1)), { recursive: true })
  }
}

function checkContents(image: Image): void {
  const has = (path: string) => existsSync(pathIn(image, path))
  for (const path of [
    'dist/node/cli/main.js',
    'node/bin/qat.js',
    'node_modules/libp2p',
    'LICENSE',
    '/data',
  ]) {
    assert.ok(has(path), `${path} is missing in the image`)
  }
  // A second Node, the compiler, the tests' tools, the source: all of them stay behind in the build stage.
  for (const path of [
    'node_modules/node',
    'node_modules/typescript',
    'node_modules/mocha',
    'src',
    'node/cli',
  ]) {
    assert.ok(!has(path), `${path} is of no use in the image`)
  }
}

function say(text: string): void {
  process.stdout.write(`${(performance.now() / 1_000).toFixed(1).padStart(6)} s  ${text}\n`)
}

const scratch = mkdtempSync(join(tmpdir(), 'qat-image-'))
try {
  await checkImage(scratch)
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
