/**
 * Makes sure that what follows runs on a Node that can: on an old one, the same command is run again with the
 * Node that `npm ci` brought, and this process only stands in for it.
 */
import { spawn } from 'node:child_process'
import module from 'node:module'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { findNode, isNewEnough, TOO_OLD } from './node-version.js'

const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP']
/** Set for the second attempt, so that an old package `node` ends in a sentence and not in a loop. */
const GUARD = 'QAT_LAUNCHED'
/** Inside the installation: whoever can write there could as well change the program. */
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/qat', import.meta.url))

/** Calls `run` on a Node that is new enough; `args` is the command line behind `node`. */
export function launch(args, run) {
  // Signatures are checked on libuv's pool; it reads its size once, when it is first used.
  process.env.UV_THREADPOOL_SIZE = process.env.UV_THREADPOOL_SIZE || String(Math.max(4, cpus().length))
  if (isNewEnough(process.version)) {
    delete process.env[GUARD]
    // Less than half the time to start. Where the cache cannot be kept, everything is compiled again.
    if (!process.env.NODE_COMPILE_CACHE) module.enableCompileCache(CACHE)
    run()
    return
  }
  const node = process.env[GUARD] ? undefined : findNode()
  if (node === undefined) tooOld()
  else relaunch(node, args)
}

function relaunch(node, args) {
  // The channel carries nothing. It closes when this process dies, even by SIGKILL, and a long-running command
  // then stops rather than staying behind unseen.
  const child = spawn(node, process.execArgv.concat(args), {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: Object.assign({}, process.env, { [GUARD]: '1' }),
  })
  const forward = (signal) => child.kill(signal)
  for (const signal of FORWARDED) process.on(signal, forward)
  child.on('error', tooOld)
  child.on('exit', (code, signal) => {
    for (const name of FORWARDED) process.removeListener(name, forward)
    // Whoever waits for us must see the end that the command had.
    if (signal) process.kill(process.pid, signal)
    else process.exit(code)
  })
}

function tooOld() {
  process.stderr.write(`${TOO_OLD}\n`)
  process.exitCode = 1
}
