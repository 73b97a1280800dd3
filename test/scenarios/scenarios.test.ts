import { equal, ok } from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { play } from './commands.ts'
import { diagram } from './print.ts'

const folder = new URL('.', import.meta.url)
const names = readdirSync(folder).filter((name) => name.endsWith('.txt'))

describe('scenarios', () => {
  it('are all here', () => ok(names.length >= 12))

  for (const name of names) {
    it(name.replace('.txt', '').replaceAll('-', ' '), () => {
      const file = new URL(name, folder)
      const expected = readFileSync(file, 'utf8')
      const { text, transcript, nodes } = play(expected)
      ok(!text.includes('| failed: ') || expected.includes('| failed: '), `a command failed:\n${text}`)
      if (process.env.REWRITE === '1') writeFileSync(file, text)
      else equal(text, expected, `the transcript differs; what happened:\n${diagram(nodes, transcript)}`)
    })
  }
})
