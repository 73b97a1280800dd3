#!/usr/bin/env node
/** The command `qat`. In the repository it runs the TypeScript source; a published package holds only `dist`. */
import { existsSync } from 'node:fs'
import { launch } from './launch.js'

launch(process.argv.slice(1), () => {
  const source = new URL('../cli/main.ts', import.meta.url)
  const built = new URL('../../dist/node/cli/main.js', import.meta.url)
  return import(existsSync(source) ? source.href : built.href).then(({ main }) => main(process.argv.slice(2)))
})
