/**
 * A run of tests ends by itself, as everything does that closes what it has opened. Where one does not, this ends it
 * and says what was left open, so that nobody waits for it for ever. Loaded by .mocharc.json.
 */
const PATIENCE_MS = 20_000

export const mochaHooks = {
  afterAll() {
    // It keeps nothing alive: a process with nothing else to do is gone before.
    setTimeout(() => {
      const open = process.getActiveResourcesInfo().join(', ')
      process.stderr.write(
        `\nAll tests have been run, but this is still open ${PATIENCE_MS / 1_000} s later: ${open}\n`,
      )
      // Mocha sets the exit code while the process exits; whoever listens later has the last word.
      process.once('exit', () => {
        process.exitCode ||= 1
      })
      process.exit()
    }, PATIENCE_MS).unref()
  },
}
