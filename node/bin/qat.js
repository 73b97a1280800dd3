#!/usr/bin/env node
/** The command `qat`. In the repository it runs the TypeScript source; a published package holds only `dist`. */
import { existsSync } from 'node:fs'
import { launch } from './launch.js'

launch(process.argv.slice(1), () => {
  const source = new URL('../cli/main.ts', import.meta.url)
  const built = new URL('../../dist/node/cli/main.js', import.meta.url)
  import(existsSync(source) ? source.href : built.href)
    .then(({ main }) => main(process.argv.slice(2)))
    .catch(brokenInstallation)
})

/** `main` reports its own failures: what comes here is a module that is missing or cannot be loaded. */
function brokenInstallation(error) {
  if (process.env.QAT_DEBUG === '1') process.stderr.write(`${error.stack}\n`)
  const [reason] = String(error.message).split('\n')
  process.stderr.write(`qat: This installation does not work: ${reason}. Install it again ("npm ci").\n`)
  process.exitCode = 70
}
