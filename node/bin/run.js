#!/usr/bin/env node
/** Runs any script of this project on a Node that is new enough: `node node/bin/run.js <script> [arguments]`. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { launch } from './launch.js'

const script = process.argv[2]
if (script === undefined || !existsSync(script)) {
  const wrong = script === undefined ? '' : `There is no script ${script}. `
  process.stderr.write(`${wrong}Usage: node node/bin/run.js <script> [arguments]\n`)
  process.exitCode = 2
} else {
  launch(process.argv.slice(1), () => {
    // The script finds its command line as if it had been started directly.
    process.argv.splice(1, 2, resolve(script))
    return import(pathToFileURL(resolve(script)).href)
  })
}
