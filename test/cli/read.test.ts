/** The commands that ask a node: get, query, status, watch, prove. */
import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { writeBundleFolder } from '../../node/cli/bundle-folder.ts'
import { entryCells } from '../../node/cli/entry-text.ts'
import { printable, table } from '../../node/cli/output.ts'
import { type BundleFiles, type LedgerService, type QueryPage, ServiceError } from '../../node/service.ts'
import { fromUtf8, toHex } from '../../src/bytes.ts'
import type { JsonObject } from '../../src/json.ts'
import { encodeChange } from '../../src/ledger/change.ts'
import { signEntry } from '../../src/ledger/entry.ts'
import { PAYLOAD_TYPES } from '../../src/ledger/payload-types.ts'
import { BUNDLE_FILES, bundleFromTexts } from '../../src/light/bundle.ts'
import { leafHash } from '../../src/merkle/hash.ts'
import { LEDGER, signerOf } from '../ledger/fixture.ts'
import { exampleBundle, LEAF } from '../light/fixture.ts'
import {
  BLOCK,
  CHECKPOINT,
  ENTRY,
  EVENT,
  HASH,
  type Harness,
  startServer,
  VIEW,
} from '../rpc/fake-service.ts'
import { envelopeJson, until } from '../support/cluster.ts'
import { qat, scratch, untilPrinted } from './run-qat.ts'

/** Without changes of the members, a proof has no fifth file. */
const FILES = [BUNDLE_FILES.entry, BUNDLE_FILES.proof, BUNDLE_FILES.records, BUNDLE_FILES.policy]

describe('a command that asks a node', () => {
  const { path } = scratch()
  const servers: Harness[] = []
  const serve = async (overrides: Partial<LedgerService> = {}) => {
    const server = await startServer(overrides)
    servers.push(server)
    return server
  }
  after(() => Promise.all(servers.map((server) => server.close())))

  it('get shows an entry by id or index, for people and for programs', async () => {
    const server = await serve()
    const { stdout } = await qat(['get', '7', '--rpc', server.url])
    assert.match(stdout, new RegExp(`^Entry +${ENTRY.id}\nStatus +final\nIndex +7\nBlock +2\nRecorded +2026`))
    assert.match(stdout, new RegExp(`^Event +${EVENT.type} on ${EVENT.subject}`, 'm'))
    const { json } = await qat(['get', ENTRY.id, '--json'], { env: { QAT_RPC: server.url } })
    assert.deepEqual(json(), [{ ...VIEW, payload: EVENT }])
    assert.deepEqual(server.service.asked, [
      ['entry', { index: 7 }],
      ['entry', { id: ENTRY.id }],
    ])
  })

  it('get says that there is no such entry', async () => {
    const entry = async () => {
      throw new ServiceError('not-found', 'There is no leaf 9.')
    }
    const server = await serve({ entry })
    const ended = await qat(['get', '9', '--json', '--rpc', server.url])
    assert.deepEqual([ended.code, ended.errorCode()], [1, 'not-found'])
  })

  it('query hands on what was asked for, and shows a table or lines', async () => {
    const server = await serve({ query: async () => ({ entries: [VIEW, VIEW] }) })
    const filter = ['--source', 's', '--type', 't', '--subject', 'u', '--order', 'asc', '--limit', '9']
    const range = ['--from', '2026-01-01T00:00:00Z', '--to', '2026-01-02T00:00:00+01:00']
    const { stdout } = await qat(['query', ...filter, ...range, '--rpc', server.url])
    assert.match(stdout, /^INDEX +RECORDED +SOURCE +TYPE +SUBJECT +ID\n7 [^\n]+\n7 [^\n]+\n$/)
    assert.deepEqual(server.service.asked[0]?.[1], {
      source: 's',
      type: 't',
      subject: 'u',
      order: 'asc',
      limit: 9,
      from: Date.parse('2026-01-01T00:00:00Z'),
      to: Date.parse('2026-01-01T23:00:00Z'),
    })
    const { json } = await qat(['query', '--json', '--rpc', server.url])
    assert.deepEqual(
      json(),
      [1, 2].map(() => ({ ...VIEW, payload: EVENT })),
    )
  })

  it('query follows pages as far as it was told to', async () => {
    const query = async ({ limit, after = 0 }: { limit: number; after?: number }): Promise<QueryPage> => {
      const entries = Array.from({ length: Math.min(limit, 150) }, () => VIEW)
      return after >= 300 ? { entries } : { entries, next: after + 150 }
    }
    const server = await serve({ query })
    const lines = async (...args: string[]) =>
      (await qat(['query', ...args, '--json', '--rpc', server.url])).json()
    assert.equal((await lines('--limit', '160')).length, 160)
    assert.equal((await lines('--all')).length, 450)
    const none = await serve({ query: async () => ({ entries: [] }) })
    assert.equal((await qat(['query', '--rpc', none.url])).stdout, 'No entry matches.\n')
  })

  it('status shows the cluster as a table', async () => {
    const server = await serve()
    const { code, stdout } = await qat(['status', '--rpc', server.url])
    assert.equal(code, 0)
    assert.match(
      stdout,
      /^Ledger +example\.org\/ledger\nLeader +north\nTerm +1\nCosigners +4 of 1 validator\nServes +reads, entries that become final\nChanges +0\nEvidence +none\nNote +Nothing can be ordered: [^\n]+\n\nNODE +KIND +ROLE /,
    )
    assert.match(stdout, /\nnorth +validator +leader +yes +2 +9 +9 +0 +-\n$/)
    const { json } = await qat(['status', '--json', '--rpc', server.url])
    assert.deepEqual(json(), [server.service.cluster()])
  })

  it('status says why nothing goes on, or what the asked node says of itself', async () => {
    const progress = { kind: 'validator', height: 2, size: 9, finalSize: 9, pending: 0 } as const
    const cluster = {
      ...{ ledger: LEDGER, term: 1, cosigners: 3, sequence: 0, evidence: [] },
      ready: { reads: true, entries: true, final: false },
      nodes: [
        { ...progress, name: 'alpha', role: 'follower', online: true },
        { ...progress, name: 'bravo', role: 'recovering', online: true },
        { ...progress, name: 'carol', role: 'follower', online: false },
      ],
    }
    const server = await serve({ cluster: () => cluster })
    const { stdout, code } = await qat(['status', '--rpc', server.url])
    assert.equal(code, 7)
    assert.equal((await qat(['status', '--json', '--rpc', server.url])).code, 7)
    assert.match(stdout, /^Leader +none$/m)
    assert.match(stdout, /^Serves +reads, entries$/m)
    assert.match(
      stdout,
      /^Note +Nothing can be ordered: that takes 3, and of 3 validators 1 can take part: bravo is recovering, carol is offline\.$/m,
    )
    const apart = await serve({ cluster: () => ({ ...cluster, note: 'The disk is nearly full.' }) })
    const said = (await qat(['status', '--rpc', apart.url])).stdout
    assert.match(said, /^Note +The disk is nearly full\.$/m)
    assert.doesNotMatch(said, /Nothing can be ordered/)
  })

  it('get says in words what a change of the members changes', async () => {
    const what = { remove: 'bravo' }
    const payload = encodeChange({ ledger: LEDGER, sequence: 7, cosigners: 3, adminQuorum: 2, what })
    const entry = await signEntry(PAYLOAD_TYPES.change, payload, signerOf('ML-DSA-65', 1))
    const server = await serve({ entry: async () => ({ ...VIEW, entry: envelopeJson(entry) }) })
    const { stdout } = await qat(['get', '7', '--rpc', server.url])
    assert.match(stdout, /^Record +change 7 of the members: removes bravo$/m)
    assert.match(stdout, /^Cosigners +3 validators make an entry final from then on$/m)
    assert.match(stdout, /^Admins +2 must sign a change from then on$/m)
  })

  it('watch prints one line for each event until it is stopped', async () => {
    const server = await serve()
    const args = ['watch', '--topics', 'entries', 'blocks', 'checkpoints', '--source', EVENT.source]
    const { code, stdout, stderr } = await qat([...args, '--rpc', server.url], {
      during: (child) => {
        void untilPrinted(child, /Watching http/).then(async () => {
          await until(() => server.service.listeners() === 1)
          server.service.emit({ topic: 'blocks', block: BLOCK })
          server.service.emit({ topic: 'entries', entry: VIEW })
          server.service.emit({ topic: 'checkpoints', checkpoint: CHECKPOINT })
        })
        void untilPrinted(child, /final .*\n/).then(() => child.kill('SIGINT'))
      },
    })
    assert.equal(code, 0)
    assert.match(stderr, /^Watching [^\n]+\n$/)
    const [block, entry, checkpoint] = stdout.split('\n')
    assert.match(block!, /block 2 {2}1 entry {2}by north/)
    assert.match(entry!, new RegExp(`^2026[^ ]+ {2}7 {2}${EVENT.type} on .*${ENTRY.id}$`))
    assert.match(checkpoint!, /^final {2}9 leaves, to block 2/)
  })

  it('watch shows with --since what was before and what comes meanwhile, each entry once, and says where to go on', async () => {
    const at = (index: number) => ({ ...VIEW, index })
    const asked: unknown[] = []
    const server: Harness = await serve({
      async query({ after = -1, order }) {
        asked.push([after, order])
        if (after >= 8) return { entries: [at(9)] }
        // While the first page is on its way, two entries are recorded, of which the second page has one.
        await until(() => server.service.listeners() === 1)
        for (const index of [9, 10]) server.service.emit({ topic: 'entries', entry: at(index) })
        return { entries: [at(5), at(8)], next: 8 }
      },
    })
    const { code, json, stderr } = await qat(['watch', '--since', '5', '--json', '--rpc', server.url], {
      during: (child) => void untilPrinted(child, /"index":10/).then(() => server.close()),
    })
    assert.deepEqual(asked, [
      [4, 'asc'],
      [8, 'asc'],
    ])
    const lines = json()
    assert.deepEqual(
      lines.slice(0, -1).map(({ entry }) => (entry as JsonObject).index),
      [5, 8, 9, 10],
    )
    const { error } = lines.at(-1) as { error: { message: string; facts: JsonObject } }
    assert.deepEqual([code, stderr, error.facts.next], [3, '', 11])
    assert.match(error.message, /Watch again with --since 11: then nothing is missing\./)
  })

  it('watch ends with exit code 3 when the node goes away', async () => {
    const server = await startServer()
    const { code, stderr } = await qat(['watch', '--rpc', server.url], {
      during: (child) => void untilPrinted(child, /Watching/).then(() => server.close()),
    })
    assert.equal(code, 3)
    assert.match(stderr, /qat: The connection to http[^\n]+ ended[^\n]*\n$/)
  })

  describe('prove', () => {
    let files: BundleFiles
    let known: Partial<LedgerService>
    before(async () => {
      const { entry, proof, records, policy } = await exampleBundle()
      const id = toHex(leafHash(entry))
      files = {
        id,
        entry: fromUtf8(entry),
        proof: fromUtf8(proof),
        records: fromUtf8(records!),
        policy: fromUtf8(policy),
      }
      known = { submission: final, entry: async () => ({ ...VIEW, id }), bundle: async () => files }
    })
    const final = async (id: string) => ({ id, status: 'final' as const })

    it('writes the exact bytes into a new folder, and verifies what it wrote', async () => {
      const server = await serve(known)
      const out = path('deep', 'evidence')
      const { code, json } = await qat(['prove', '7', '--out', out, '--json', '--rpc', server.url])
      assert.equal(code, 0)
      assert.deepEqual(json(), [{ id: files.id, dir: out, files: FILES, index: LEAF.entry }])
      assert.deepEqual((await readdir(out)).toSorted(), FILES.toSorted())
      for (const part of ['entry', 'proof', 'records', 'policy'] as const) {
        assert.equal(await readFile(path('deep', 'evidence', BUNDLE_FILES[part]), 'utf8'), files[part])
      }
      const policy = path('deep', 'policy')
      await writeFile(policy, files.policy)
      assert.equal((await qat(['verify', out, '--policy', policy])).code, 0)
    })

    it('checks what the disk holds, before the folder has its name', async () => {
      const bundle = bundleFromTexts(files)
      let checked = 0
      await writeBundleFolder(path('read-back'), bundle, async (written) => {
        checked++
        assert.notEqual(written.entry, bundle.entry)
        assert.deepEqual(written, bundle)
        await assert.rejects(readdir(path('read-back')), { code: 'ENOENT' })
      })
      assert.equal(checked, 1)
      assert.equal((await readdir(path('read-back'))).length, 4)
    })

    it('leaves nothing behind where the proof does not convince, or is of another entry', async () => {
      const cases: [Partial<typeof files>, RegExp][] = [
        [{ proof: '' }, /does not verify/],
        [{ entry: files.entry.replace('A', 'B') }, /does not verify/],
        [{ records: files.records.replace('A', 'B') }, /does not verify/],
      ]
      for (const [wrong, sentence] of cases) {
        const server = await serve({ ...known, bundle: async () => ({ ...files, ...wrong }) })
        const { code, stderr } = await qat(['prove', files.id, '--out', path('bad'), '--rpc', server.url])
        assert.equal(code, 1)
        assert.match(stderr, sentence)
      }
      const other = await serve({
        ...known,
        entry: async () => ({ ...VIEW, id: HASH }),
      })
      const { stderr } = await qat(['prove', HASH, '--out', path('bad'), '--rpc', other.url])
      assert.match(stderr, /It proves another entry/)
      assert.deepEqual(
        (await readdir(path())).filter((name) => name.includes('bad')),
        [],
      )
    })

    it('overwrites nothing, and does not even ask', async () => {
      const server = await serve()
      await mkdir(path('full', 'of', 'things'), { recursive: true })
      const ended = await qat(['prove', '7', '--out', path('full'), '--rpc', server.url, '--json'])
      assert.deepEqual([ended.code, ended.errorCode(), server.service.asked], [5, 'file', []])
    })

    it('waits for the entry to be final, but not longer than told', async () => {
      const server = await serve({ submission: async (id) => ({ id, status: 'ordered' }) })
      const args = ['prove', '7', '--out', path('late'), '--timeout', '0.3', '--rpc', server.url]
      const { code, stderr } = await qat(args)
      assert.equal(code, 3)
      assert.match(stderr, /is ordered, not yet final, after 0\.3 s/)
    })
  })
})

describe('text from strangers', () => {
  it('cannot repaint a terminal', () => {
    const evil = 'a\u001b[2Jb\u202ec\r\nd\u009b'
    assert.equal(printable(evil), 'a\\u001b[2Jb\\u202ec\\u000d\\u000ad\\u009b')
    assert.equal(table(['X'], [[evil]]).split('\n').length, 2)
    const payload = Buffer.from(JSON.stringify({ ...EVENT, subject: 'x\u202ey' })).toString('base64')
    const cells = entryCells({ ...VIEW, entry: { ...VIEW.entry, payload } })
    assert.doesNotMatch(table(['', '', '', '', '', ''], [cells]), /\u202e/)
  })
})
