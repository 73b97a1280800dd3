/**
 * Some judges from outside are libraries in Go. Each is a small module beside the test that asks it; where
 * there is no Go, or its modules cannot be had, the suite leaves itself out in one line.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Runs the judge and returns its standard output. Throws with what it said if it exits other than with 0. */
export type Judge = (...args: readonly string[]) => string

/** A cold cache compiles for half a minute, a warm one for one second. */
const BUILD_MS = 180_000
const DOWNLOAD_MS = 60_000

// The toolchain that is here must do: none is fetched. What go.sum does not name is refused.
const ENV = { ...process.env, GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly -buildvcs=false', GOWORK: 'off' }

/** A `describe` with the judge built from the Go module in `folder`; one pending line where that cannot be. */
export function describeGo(folder: URL, title: string, body: (judge: Judge) => void): void {
  const cwd = fileURLToPath(folder)
  const options = { cwd, env: ENV, timeout: DOWNLOAD_MS, encoding: 'utf8' } as const
  const download = spawnSync('go', ['mod', 'download'], options)
  if (download.status !== 0) {
    const reason = download.error ? 'there is no Go here' : download.stderr.split('\n', 1)[0]
    it(`${title} (skipped: ${reason})`)
    return
  }
  describe(title, () => {
    let scratch = ''
    before(function () {
      this.timeout(BUILD_MS)
      scratch = mkdtempSync(join(tmpdir(), 'qat-go-'))
      execFileSync('go', ['build', '-o', join(scratch, 'judge'), '.'], { cwd, env: ENV })
    })
    after(() => rmSync(scratch, { recursive: true, force: true }))
    body((...args) => {
      const { status, stdout, stderr } = spawnSync(join(scratch, 'judge'), args, { encoding: 'utf8' })
      if (status !== 0) throw new Error(`The judge refused: ${stderr}`)
      return stdout
    })
  })
}
