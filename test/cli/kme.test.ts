/** `qat kme`: a process that another asks for keys, and whose fibres can be disturbed on a port of their own. */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { KME_FILES } from '../../node/kme/create.ts'
import { Kmes } from '../support/kmes.ts'
import { type Ended, qat, untilPrinted } from './run-qat.ts'

describe('qat kme', function () {
  this.timeout(60_000)
  let kmes: Kmes
  let child: ChildProcess | undefined
  let ended: Promise<Ended> | undefined
  before(async () => {
    kmes = await Kmes.start({ admin: true })
    await kmes.stop('alpha')
    const config = join(kmes.folder('alpha'), KME_FILES.config)
    ended = qat(['kme', '--config', config, '--json'], {
      during: (started) => {
        child = started
      },
    })
  })
  after(async () => {
    child?.kill('SIGTERM')
    await ended
    await kmes?.close()
  })

  it('gives keys to applications, and lets the holder of its token disturb fibres', async () => {
    const ready = JSON.parse(await untilPrinted(child!, /\n/)) as { id: string; api: string; admin: number }
    assert.equal(ready.id, 'kme-alpha')
    const token = (await readFile(join(kmes.folder('alpha'), 'store', 'admin.token'), 'utf8')).trim()
    const admin = (path: string, init: RequestInit = {}) =>
      fetch(`http://127.0.0.1:${ready.admin}/sim/v1/links${path}`, {
        ...init,
        headers: { authorization: `Bearer ${token}` },
      })
    assert.equal((await fetch(`http://127.0.0.1:${ready.admin}/sim/v1/links`)).status, 401)
    let link: { keysStored: number; health: string } | undefined
    for (let i = 0; i < 200 && !((link?.keysStored ?? 0) > 0 && link?.health === 'OK'); i++) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      link = (await (await admin('/kme-bravo')).json()) as typeof link
    }
    assert.equal(link!.health, 'OK')
    const bravo = await kmes.client('bravo')
    assert.equal((await bravo.getKey('alpha', 256)).bytes.length, 32)
    const post = (path: string, body?: string) => admin(path, { method: 'POST', ...(body && { body }) })
    assert.equal((await post('/kme-bravo/eve', '{"fraction":2}')).status, 400)
    assert.equal((await post('/kme-bravo/eve', '{')).status, 400)
    assert.equal((await post('/kme-nobody/cut')).status, 404)
    assert.equal((await post('/kme-bravo/explode')).status, 404)
    assert.equal((await post('/kme-bravo/attenuation', '{"dB":30}')).status, 200)
    for (let i = 0; i < 200 && link?.health === 'OK'; i++) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      link = (await (await admin('/kme-bravo')).json()) as typeof link
    }
    assert.notEqual(link!.health, 'OK')
    assert.equal((await post('/kme-bravo/restore')).status, 200)
  })

  it('says in a sentence what is wrong with its file', async () => {
    const missing = await qat(['kme', '--config', join(kmes.dir, 'nothing.json')])
    assert.deepEqual([missing.code === 0, /describes no KME/.test(missing.stderr)], [false, true])
  })
})
