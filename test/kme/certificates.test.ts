/** Certificates end: whoever runs a KME hears of it before, and renews them while everything runs. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { systemClock } from '../../node/clock.ts'
import { createKmes, KME_FILES } from '../../node/kme/create.ts'
import { renewCertificates } from '../../node/kme/renew.ts'
import { TlsFiles, WARN_DAYS } from '../../node/kme/tls-files.ts'
import type { QkdKey } from '../../node/qkd/key-provider.ts'
import { qat } from '../cli/run-qat.ts'
import { until } from '../support/cluster.ts'
import { Kmes } from '../support/kmes.ts'

const DAY_MS = 86_400_000
const LEAF_DAYS = 825

describe('certificates of KMEs', function () {
  this.timeout(60_000)

  describe('on the disk', () => {
    let dir: string
    const made = Date.now()
    const place = { host: '127.0.0.1', port: 1 }
    const qkd = () => join(dir, 'qkd')
    const paths = () => ({
      ca: join(qkd(), KME_FILES.ca),
      cert: join(qkd(), KME_FILES.kmeCert),
      key: join(qkd(), KME_FILES.kmeKey),
    })
    beforeEach(async () => {
      dir = await mkdtemp(join(tmpdir(), 'qat-certificates-'))
      const kmes = [{ sae: 'alpha', dir: qkd(), host: 'alpha.example', api: place, links: place }]
      await createKmes({ dir, kmes, profile: '5km', keysMax: 16, now: made })
    })
    afterEach(() => rm(dir, { recursive: true }))

    /** Opened that many days after the certificates were made, with what it logs. */
    const watched = async (days: number) => {
      const logged: string[] = []
      const log = (level: string) => (_facts: object, message: string) =>
        void logged.push(`${level}: ${message}`)
      const logger = { info: log('info'), warn: log('warn'), error: log('error') } as never
      const time = { now: made + days * DAY_MS }
      const clock = { ...systemClock, now: () => time.now, every: () => () => {} }
      const files = await TlsFiles.open({ paths: paths(), clock, logger })
      return { files, logged, time }
    }

    it('are warned of once a day before their end, and after it', async () => {
      const { files, logged, time } = await watched(LEAF_DAYS - WARN_DAYS - 1)
      assert.deepEqual([logged, files.endsAt], [[], made - (made % 1_000) + LEAF_DAYS * DAY_MS])
      const said = async (days: number) => {
        logged.length = 0
        time.now = made + days * DAY_MS
        await files.look()
        return logged.map((line) => line.slice(0, line.indexOf(':', 7)))
      }
      const soon = 'warn: a certificate for QKD keys ends soon'
      assert.deepEqual(await said(LEAF_DAYS - WARN_DAYS + 0.1), [soon])
      assert.deepEqual(await said(LEAF_DAYS - WARN_DAYS + 0.9), [])
      assert.deepEqual(await said(LEAF_DAYS - WARN_DAYS + 1.2), [soon])
      assert.deepEqual(await said(LEAF_DAYS + 1), ['error: a certificate for QKD keys has ended'])
      files.close()
    })

    it('are taken when they have changed, and kept while half of a pair is there', async () => {
      const { files, logged } = await watched(LEAF_DAYS - 10)
      const told: string[] = []
      files.onChange(({ cert }) => told.push(cert))
      const before = files.identity
      logged.length = 0
      await writeFile(paths().key, await readFile(join(qkd(), KME_FILES.saeKey)))
      await files.look()
      await files.look()
      assert.deepEqual(logged, ['warn: a certificate that changed cannot be used; the one before is kept'])
      assert.deepEqual([files.identity, told], [before, []])
      const now = made + (LEAF_DAYS - 10) * DAY_MS
      const [kme, sae] = await renewCertificates(qkd(), dir, now)
      assert.deepEqual([kme?.cert, sae?.cert], [paths().cert, join(qkd(), KME_FILES.saeCert)])
      logged.length = 0
      await files.look()
      assert.deepEqual(logged, ['info: a renewed certificate is in use'])
      assert.deepEqual(told, [await readFile(paths().cert, 'utf8')])
      assert.equal(files.endsAt, kme?.endsAt)
      const [old, renewed] = [before.cert, files.identity.cert].map((pem) => new X509Certificate(pem))
      assert.equal(renewed?.subjectAltName, old?.subjectAltName)
      assert.equal(renewed?.subject, old?.subject)
      files.close()
    })

    it('are renewed by "qat kme renew", by the authority that issued them and no other', async () => {
      const before = await readFile(paths().cert, 'utf8')
      const { code, json } = await qat(['kme', 'renew', qkd(), '--authority', dir, '--json'])
      assert.deepEqual(
        [code, json().map(({ cert }) => cert)],
        [0, [paths().cert, join(qkd(), KME_FILES.saeCert)]],
      )
      const after = await readFile(paths().cert, 'utf8')
      assert.notEqual(after, before)
      const other = await mkdtemp(join(tmpdir(), 'qat-authority-'))
      await createKmes({ dir: other, kmes: [], profile: '5km', keysMax: 16, now: made })
      const refused = await qat(['kme', 'renew', qkd(), '--authority', other])
      await rm(other, { recursive: true })
      assert.deepEqual([refused.code, /was not issued by the authority in/.test(refused.stderr)], [1, true])
      assert.equal(await readFile(paths().cert, 'utf8'), after)
    })
  })

  it('are renewed while KMEs and clients run', async () => {
    const kmes = await Kmes.start()
    try {
      const client = await kmes.client('alpha')
      await kmes.keyed()
      assert.ok(await client.getKey('bravo', 256))
      const serials = async () => {
        const socket = connect({
          ...(await kmes.tls('alpha')),
          host: '127.0.0.1',
          port: kmes.kme('alpha').apiPort,
        })
        await once(socket, 'secureConnect')
        const { serialNumber } = socket.getPeerCertificate()
        socket.destroy()
        return serialNumber
      }
      const before = await serials()
      await renewCertificates(kmes.folder('alpha'), kmes.dir, Date.now())
      await kmes.kme('alpha').lookAtCertificates()
      assert.notEqual(await serials(), before)
      client.renew(await kmes.tls('alpha'))
      assert.ok(await client.getKey('bravo', 256))
      // The other KME comes back to the one with the new certificate.
      await kmes.stop('bravo')
      await kmes.start('bravo')
      const other = await kmes.client('bravo')
      let key: QkdKey | undefined
      await until(async () => {
        key = await client.getKey('bravo', 256).catch(() => undefined)
        return key !== undefined
      }, 20_000)
      assert.ok(key)
      assert.deepEqual(await other.getKeyById('alpha', key.id, 256), key)
    } finally {
      await kmes.close()
    }
  })
})
