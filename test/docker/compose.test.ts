import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { DEVNET_PORT } from '../../node/devnet/names.ts'
import { VERSION } from '../../node/version.ts'
import { describeGo } from '../support/go-module.ts'

const FILE = new URL('../../docker/compose.yml', import.meta.url)
const SOURCE = readFileSync(FILE, 'utf8')
const NODES = ['alpha', 'bravo', 'charlie', 'delta']

interface Mount {
  readonly type: string
  readonly source: string
  readonly target: string
  readonly bind: { readonly create_host_path: boolean }
}

interface Service {
  readonly [key: string]: unknown
  readonly volumes: readonly Mount[]
  readonly command?: readonly string[]
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>
}

const compose: Compose = parse(SOURCE, { merge: true })
const service = (name: string) => compose.services[name]!

describe('the compose file', () => {
  it('runs four validators, and founds their ledger on demand', () => {
    assert.deepEqual(Object.keys(compose.services).toSorted(), [...NODES, 'init'])
    assert.deepEqual(service('init').profiles, ['init'])
    const founded = service('init').command!.filter((word) => word.startsWith('--node='))
    // Peers dial the name of the service; a team has one node each.
    assert.deepEqual(
      founded,
      NODES.map((name) => `--node=team-${name}/${name}=${name}`),
    )
  })

  for (const name of [...NODES, 'init']) {
    it(`gives ${name} no right that it does not need`, () => {
      const { image, user, read_only, cap_drop, security_opt, tmpfs, privileged, cap_add } = service(name)
      assert.equal(image, `quantum-audit-trail:${VERSION}`)
      // biome-ignore lint/suspicious/noTemplateCurlyInString: Compose fills it in
      assert.equal(user, '${QAT_UID:-1000}:${QAT_GID:-1000}')
      assert.deepEqual(
        { read_only, cap_drop, security_opt, privileged, cap_add },
        {
          read_only: true,
          cap_drop: ['ALL'],
          security_opt: ['no-new-privileges:true'],
          privileged: undefined,
          cap_add: undefined,
        },
      )
      assert.match(String(tmpfs), /^\/tmp:.*size=\d+m.*noexec/)
    })
  }

  for (const [i, name] of NODES.entries()) {
    it(`keeps ${name} to its own folder and to this machine`, () => {
      const { volumes, ports, networks } = service(name)
      const bind = { create_host_path: false }
      assert.deepEqual(volumes, [{ type: 'bind', source: `./cluster/${name}`, target: '/data', bind }])
      assert.deepEqual(ports, [`127.0.0.1:${DEVNET_PORT + i}:${DEVNET_PORT}`])
      assert.deepEqual(networks, ['peers', 'rpc'])
    })

    it(`restarts ${name}, bounds what it takes, and lets it stop in order`, () => {
      const { restart, stop_grace_period, deploy, ulimits, logging, healthcheck } = service(name)
      assert.deepEqual([restart, stop_grace_period], ['unless-stopped', '30s'])
      const { limits } = (deploy as { resources: { limits: object } }).resources
      assert.deepEqual(Object.keys(limits).toSorted(), ['cpus', 'memory', 'pids'])
      assert.deepEqual((ulimits as { core: object }).core, { soft: 0, hard: 0 })
      assert.deepEqual(Object.keys((logging as { options: object }).options), ['max-size', 'max-file'])
      // Its test is the image's.
      assert.deepEqual(Object.keys(healthcheck as object).toSorted(), ['start_interval', 'start_period'])
    })
  }

  it('keeps the ledger made on this machine out of the repository and of images', () => {
    const [mount] = service('init').volumes
    assert.equal(mount!.source, './cluster')
    assert.ok(lines('.gitignore').includes('/docker/cluster/'))
    assert.equal(lines('.dockerignore')[0], '*')
  })

  it('lets peers talk on a network without a way out', () => {
    assert.deepEqual(compose.networks, { peers: { internal: true }, rpc: null })
    assert.equal(service('init').network_mode, 'none')
  })
})

describeGo(new URL('go/', import.meta.url), "Compose's own loader", (judge) => {
  let folder = ''
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'qat-compose-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  it('reads the compose file as we do', () => {
    const project = JSON.parse(judge('compose', fileURLToPath(FILE)))
    assert.deepEqual(Object.keys(project.services), Object.keys(compose.services).toSorted())
    const { user, volumes, environment, deploy } = project.services.alpha
    assert.equal(user, `${process.env.QAT_UID ?? 1000}:${process.env.QAT_GID ?? 1000}`)
    assert.equal(volumes[0].source, fileURLToPath(new URL('cluster/alpha', FILE)))
    assert.equal(deploy.resources.limits.memory, String(2 ** 30))
    // Set to nothing, the variable would be an empty passphrase.
    assert.deepEqual(environment, { QAT_PASSPHRASE: process.env.QAT_PASSPHRASE ?? null })
  })

  for (const [what, search, by] of [
    ['an unknown key', 'read_only: true', 'readonly: true'],
    ['a number where a duration belongs', 'stop_grace_period: 30s', 'stop_grace_period: 30'],
    ['a network that nobody defines', 'networks: [peers, rpc]', 'networks: [peers, rcp]'],
    ['a limit that is no size', 'memory: 1G', 'memory: lots'],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.ok(SOURCE.includes(search))
      const file = join(folder, 'compose.yml')
      writeFileSync(file, SOURCE.replace(search, by))
      assert.throws(() => judge('compose', file))
    })
  }
})

function lines(file: string): string[] {
  const text = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
}
