/** The light client in a real browser: the same verdicts as in Node, and no network while it judges. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BrowserContext, Page } from 'playwright-core'
import { opensslSuite } from '../../node/crypto/openssl.ts'
import { fromUtf8, toBase64, utf8 } from '../../src/bytes.ts'
import { publicKeyToJwk } from '../../src/crypto/keys.ts'
import type { PublicKey } from '../../src/crypto/suite.ts'
import type { Bundle } from '../../src/light/bundle.ts'
import { type Verdict, verifyBundle } from '../../src/light/verify.ts'
import { ALICE, CI } from '../ledger/fixture.ts'
import { exampleBundle, sequelBundle } from '../light/fixture.ts'
import { type Site, serveLightClient } from './serve.ts'

type Package = typeof import('../../src/index.ts')

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'
const FLAGS = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

describe('the light client in Chromium', () => {
  const wanted: string[] = []
  let profile: string | undefined
  let site: Site | undefined
  let context: BrowserContext | undefined
  let page: Page
  let bundle: Bundle

  before(async function () {
    this.timeout(60_000)
    const playwright = await import('playwright-core').catch(() => undefined)
    if (!playwright || !existsSync(CHROMIUM)) {
      console.log(`    skipped: it takes playwright-core, and Chromium at ${CHROMIUM} (or $CHROMIUM)`)
      this.skip()
    }
    bundle = await exampleBundle()
    site = await serveLightClient()
    const { origin } = new URL(site.url)
    profile = await mkdtemp(join(tmpdir(), 'qat-chromium-'))
    // Chromium's sandbox refuses to run as root, as which containers often run.
    const chromiumSandbox = process.getuid?.() !== 0
    const options = { executablePath: CHROMIUM, headless: true, chromiumSandbox, args: FLAGS }
    context = await playwright.chromium.launchPersistentContext(profile, options)
    await context.route('**/*', (route) => {
      const url = route.request().url()
      wanted.push(url)
      return new URL(url).origin === origin ? route.continue() : route.abort()
    })
    page = await context.newPage()
    await page.goto(site.url)
    await page.waitForFunction(() => 'qat' in globalThis)
    // From here on the page has what it has: a verifier that asks anyone anything would fail.
    await context.setOffline(true)
  })

  after(async () => {
    await context?.close()
    await site?.close()
    if (profile) await rm(profile, { recursive: true, force: true })
  })

  /** The verdict of the page on a bundle. Values cross into the page as JSON. */
  function judge(given: Bundle, keys: readonly PublicKey[] = []): Promise<Verdict> {
    const { entry, proof, records, policy, updates } = given
    const files = {
      entry: toBase64(entry),
      proof: toBase64(proof),
      policy: toBase64(policy),
      ...(records && { records: toBase64(records) }),
      ...(updates && { updates: toBase64(updates) }),
    }
    const jwks = JSON.stringify(keys.map(publicKeyToJwk))
    return page.evaluate(
      async ({ files, jwks }) => {
        const { qat } = globalThis as unknown as { qat: Package }
        const bytes = (text: string) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
        const bundle = {
          entry: bytes(files.entry),
          proof: bytes(files.proof),
          policy: bytes(files.policy),
          ...(files.records && { records: bytes(files.records) }),
          ...(files.updates && { updates: bytes(files.updates) }),
        }
        const keys = (JSON.parse(jwks) as unknown[]).map(qat.publicKeyFromJwk)
        return qat.verifyBundle(qat.nobleSuite, bundle, { keys })
      },
      { files, jwks },
    )
  }

  it('finds a good bundle good, and says what Node says of it', async () => {
    const verdict = await judge(bundle, [CI.key])
    assert.ok(verdict.ok)
    assert.equal(verdict.proves.entrySignature, 'verified')
    assert.deepEqual(verdict, await verifyBundle(opensslSuite, bundle, { keys: [CI.key] }))
    assert.equal(verdict.proves.submitter!.name, CI.name)
    assert.ok(verdict.proves.recorded!.time > 0)
    const { records: _, ...bare } = bundle
    const stranger = await judge(bare, [ALICE.key])
    assert.ok(stranger.ok && stranger.proves.entrySignature === 'unknown-key')
  })

  it('follows a change of the members from the policy before it, as Node does', async () => {
    const sequel = { ...(await sequelBundle()), policy: bundle.policy }
    const verdict = await judge(sequel)
    assert.ok(verdict.ok)
    assert.equal(verdict.proves.changes.length, 1)
    assert.deepEqual(verdict, await verifyBundle(opensslSuite, sequel, { keys: [] }))
    const cut = await judge({ ...sequel, updates: sequel.updates!.subarray(1) })
    assert.equal(cut.ok ? 'ok' : cut.code, 'too-large')
  })

  it('refuses tampered bundles, for the reason for which Node does', async () => {
    const flipped = (bytes: Uint8Array, at: number) => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte))
    const proof = fromUtf8(bundle.proof)
    const cases: [Partial<Bundle>, string][] = [
      [{ entry: flipped(bundle.entry, 20) }, 'bad-inclusion'],
      [{ entry: bundle.entry.subarray(1) }, 'json-syntax'],
      [{ records: utf8(fromUtf8(bundle.records!).replace('"index":3', '"index":2')) }, 'bad-inclusion'],
      [{ records: utf8('{}') }, 'missing-field'],
      [{ proof: utf8(proof.replace('index 5', 'index 4')) }, 'bad-inclusion'],
      [{ proof: utf8(proof.replace('\n7\n', '\n8\n')) }, 'bad-signature'],
      [{ proof: utf8(proof.slice(0, proof.lastIndexOf('\u2014'))) }, 'quorum-not-met'],
      [{ policy: new Uint8Array(0) }, 'truncated'],
    ]
    for (const [changed, code] of cases) {
      const tampered = { ...bundle, ...changed }
      const verdict = await judge(tampered)
      assert.equal(verdict.ok ? 'ok' : verdict.code, code)
      assert.deepEqual(verdict, await verifyBundle(opensslSuite, tampered, { keys: [] }))
    }
  })

  it('loaded its own modules and asked for nothing else', () => {
    assert.ok(wanted.some((url) => url.endsWith('/src/light/verify.ts')))
    assert.deepEqual(
      wanted.filter((url) => new URL(url).origin !== new URL(site!.url).origin),
      [],
    )
  })
})
