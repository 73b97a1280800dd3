/** Runs a rehearsed image as Docker would: its entry point, its command, its health check, SIGTERM. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, copyFileSync, mkdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Image, pathIn } from './rehearsal.ts'

/** What Docker grants between SIGTERM and SIGKILL unless told otherwise. */
const STOP_MS = 10_000
const READY_MS = 60_000
const PEER_PORT_OFFSET = 1_000

/** Founds a ledger of two nodes in `dir` and takes it through one entry's life. Throws where it fails. */
export async function checkRunning(image: Image, dir: string, say: (text: string) => void): Promise<void> {
  install(image, dir)
  const { version } = JSON.parse(readFileSync(pathIn(image, 'package.json'), 'utf8'))
  assert.equal(qat(image, ['--version']).trim(), version)

  // Two nodes that find each other by name, as they do in a network of containers.
  const alpha = await freePort()
  const bravo = await freePort()
  const nodes = [`--node=alpha=localhost:${alpha}`, `--node=bravo=localhost:${bravo}`]
  qat(image, ['init', '--dir', dir, '--ledger', 'image.example/audit', '--token', 'image', ...nodes])
  say('A ledger of two nodes is founded.')

  assert.equal(healthy(image, alpha), false, 'a node that does not run is not healthy')
  const running = ['alpha', 'bravo'].map((name) => start(image, join(dir, name)))
  try {
    await until('both nodes are healthy', () => [alpha, bravo].every((port) => healthy(image, port)))
    await until('both nodes are ready', async () => {
      const replies = await Promise.all(
        [alpha, bravo].map((port) => fetch(`http://127.0.0.1:${port}/readyz`)),
      )
      return replies.every(({ ok }) => ok)
    })
    say('Both nodes are up and found each other.')
    recordAndVerify(image, dir, alpha)
    say('An entry is final, and its proof verifies.')
    for (const child of running) await stop(child)
    say('Both nodes ended with 0 on SIGTERM.')
  } finally {
    for (const child of running) child.kill('SIGKILL')
  }
}

/**
 * Puts this Node where the base image has one, and makes `dir`. Root, who may, goes on as the image's user: one
 * who cannot change the code, and can read only keys that are that user's own.
 */
function install(image: Image, dir: string): void {
  mkdirSync(pathIn(image, '/usr/local/bin'), { recursive: true })
  copyFileSync(process.execPath, nodeOf(image))
  mkdirSync(dir, { mode: 0o700 })
  const user = userOf(image)
  if (user === undefined) return
  chownSync(dir, user.uid, user.gid)
  // Made for one user alone, the folder above would keep this one out.
  chmodSync(dirname(dir), 0o755)
}

function nodeOf(image: Image): string {
  return pathIn(image, '/usr/local/bin/node')
}

function userOf({ user }: Image) {
  return process.getuid?.() === 0 ? user : undefined
}

function recordAndVerify(image: Image, dir: string, port: number): void {
  const token = readFileSync(join(dir, 'token'), 'utf8').trim()
  const rpc = ['--rpc', `http://127.0.0.1:${port}`]
  const event = [
    '--source',
    '//image',
    '--type',
    'image.check',
    '--subject',
    'image',
    '--data',
    '{"works":true}',
  ]
  const logged = JSON.parse(
    qat(image, ['log', '--json', ...rpc, '--token', token, ...event, '--wait', 'final']),
  )
  const evidence = join(dir, 'evidence')
  qat(image, ['prove', ...rpc, '--out', evidence, logged.id])
  qat(image, ['verify', evidence, '--policy', join(dir, 'policy')])
}

function start(image: Image, dir: string): ChildProcess {
  const args = image.cmd.map((word) => (word === '/data' ? dir : word))
  return spawn(nodeOf(image), [...image.entrypoint.slice(1), ...args, '--log-level', 'warn'], {
    ...surroundings(image),
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

async function stop(child: ChildProcess): Promise<void> {
  assert.equal(child.exitCode, null, 'the node still runs when it is told to stop')
  const exit = once(child, 'exit', { signal: AbortSignal.timeout(STOP_MS) })
  child.kill('SIGTERM')
  assert.deepEqual(await exit, [0, null], 'SIGTERM ends a node with exit code 0')
}

function qat(image: Image, args: readonly string[]): string {
  return execFileSync(nodeOf(image), [...image.entrypoint.slice(1), ...args], {
    ...surroundings(image),
    encoding: 'utf8',
  })
}

/** What `docker run` would find out by the image's HEALTHCHECK. */
function healthy(image: Image, port: number): boolean {
  const [, ...args] = image.healthcheck
  const { status } = spawnSync(nodeOf(image), args, surroundings(image, `http://127.0.0.1:${port}`))
  return status === 0
}

/** The image's folder, user and variables, and nothing of this machine's. */
function surroundings(image: Image, rpc = image.env.QAT_RPC) {
  assert.equal(image.entrypoint[0], 'node')
  return { ...userOf(image), cwd: pathIn(image, '.'), env: { ...image.env, QAT_RPC: rpc } }
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + READY_MS
  while (!(await holds())) {
    assert.ok(performance.now() < end, `not within ${READY_MS / 1_000} s: ${what}`)
    await delay(250)
  }
}

/** A port that is free now, as is the one for peers above it; both below those that systems give to clients. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000)
    if ((await isFree(port)) && (await isFree(port + PEER_PORT_OFFSET))) return port
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '0.0.0.0')
  const outcome = await once(server, 'listening').then(
    () => true,
    () => false,
  )
  server.close()
  return outcome
}
