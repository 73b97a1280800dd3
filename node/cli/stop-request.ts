/** When a long-running command must end: a signal, or the death of the process that started it. */

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Ctrl-C reaches a whole process group, and npm and our launcher pass it on: the echoes arrive within this. */
const ECHO_MS = 500

/**
 * Resolves on the first request to stop, with its name. A second signal ends the process at once, so that
 * nobody has to wait for a shutdown that hangs.
 */
export function stopRequest(signals: readonly NodeJS.Signals[] = SIGNALS): Promise<string> {
  return new Promise((resolve) => {
    let firstMs: number | undefined
    const onSignal = (signal: NodeJS.Signals) => {
      const nowMs = performance.now()
      firstMs ??= nowMs
      resolve(signal)
      if (nowMs - firstMs <= ECHO_MS) return
      for (const name of signals) process.removeListener(name, onSignal)
      process.kill(process.pid, signal)
    }
    for (const signal of signals) process.on(signal, onSignal)
    // Started with a channel (by our launcher or by a devnet): it closes when that process is gone, even by
    // SIGKILL. `connected` is undefined where there never was one.
    if (process.connected === false) resolve('disconnect')
    else if (process.connected) process.once('disconnect', () => resolve('disconnect'))
  })
}
