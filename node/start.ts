/** The composition root: builds one node from its folder, in the order of dependence, and stops it in reverse. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { keyId } from '../src/crypto/keys.ts'
import type { PublicKey } from '../src/crypto/suite.ts'
import { errorCode, errorMessage, QatError } from '../src/errors.ts'
import type { Evidence } from '../src/ledger/evidence.ts'
import { verifyGenesis } from '../src/ledger/genesis.ts'
import type { NodeMember } from '../src/ledger/member.ts'
import type { Membership } from '../src/ledger/membership.ts'
import { systemClock } from './clock.ts'
import type { Accusation } from './core/evidence.ts'
import { gatewayName } from './core/gateway.ts'
import { LedgerNode } from './core/ledger-node.ts'
import { bindStore, boundBy, nameSpentKeys } from './core/recovery.ts'
import { readKeyFile } from './crypto/keyfile.ts'
import { useNativeCode } from './crypto/native.ts'
import { opensslSuite } from './crypto/openssl.ts'
import { verifyQueue } from './crypto/verify-queue.ts'
import { keepEvidence, keepReason, readEvidenceFolder } from './evidence-folder.ts'
import { FILES, FolderError, type NodeConfig, peerSeedOf, readNodeFolder, readTokens } from './folder.ts'
import { adoptKeyFiles, type KeyFiles, keyFilesOf } from './keys-folder.ts'
import { createLogger, type Logger } from './logger.ts'
import { createMetrics } from './metrics.ts'
import { createNetwork } from './net/libp2p-network.ts'
import { keyRingOf } from './new-keys.ts'
import { foundingRecord } from './node-record.ts'
import type { QkdConfig } from './qkd/config.ts'
import { LinkRecorder } from './qkd/link-recorder.ts'
import { openNodeQkd } from './qkd/node-qkd.ts'
import { createServer } from './rpc/server.ts'
import type { NodeStatus } from './service.ts'
import { LedgerStore } from './store/ledger-store.ts'
import { openLevel } from './store/level.ts'
import { openTokenFile } from './token-file.ts'

export interface StartOptions {
  readonly logLevel?: string
  /** In place of what node.json says of QKD: with a `server`, the KME inside the node is not started. */
  readonly qkd?: Partial<QkdConfig>
  /** Names and addresses that others call the node by, beside those of its member record. */
  readonly rpcNames?: readonly string[]
  /** Opens encrypted key files. */
  readonly passphrase?: string
  /** Called when the node had to stop by itself, after it has stopped: a broken invariant, an unusable disk. */
  readonly onFatal?: (error: unknown) => void
  /** Called when the node has stopped because it is no member any more. */
  readonly onRemoved?: () => void
}

export interface RunningNode {
  readonly rpcUrl: string
  status(): NodeStatus
  /** Reads the tokens again, which otherwise happens within a second or two of a change of their file. */
  reload(): Promise<void>
  /** Hands over leadership, finishes what is being written, closes everything. */
  stop(): Promise<void>
}

/**
 * Starts the node whose folder is `dir`. Throws a QatError whose sentence says what is wrong and what to do.
 * When the membership comes to name the keys that wait in `next/`, the node starts again with them by itself.
 */
export async function startNode(dir: string, options: StartOptions = {}): Promise<RunningNode> {
  let stopped = false
  let node: RunningNode
  const start = (replaced: boolean) =>
    startOnce(dir, options, replaced, (why) => {
      if (why === 'removed') options.onRemoved?.()
      else if (!stopped) restarted = restart()
    })
  const restart = async () => {
    try {
      node = await start(true)
    } catch (error) {
      options.onFatal?.(error)
    }
  }
  let restarted = Promise.resolve()
  node = await start(false)
  return {
    rpcUrl: node.rpcUrl,
    status: () => node.status(),
    reload: () => node.reload(),
    async stop() {
      stopped = true
      await restarted
      await node.stop()
    },
  }
}

/** @param replaced the node has just learnt from its chain that it needs other keys, so those must be in the folder */
async function startOnce(
  dir: string,
  options: StartOptions,
  replaced: boolean,
  onOut: (why: 'removed' | 'keys-replaced') => void,
): Promise<RunningNode> {
  useNativeCode()
  const { config, genesis } = await readNodeFolder(dir)
  await verifyGenesis(opensslSuite, genesis)
  const { name, peers = [] } = config
  const logger = createLogger(name, options.logLevel ?? 'info')
  const metrics = createMetrics({ node: name, ledger: genesis.parameters.ledger })
  const closers: (() => Promise<void>)[] = []
  let stopping: Promise<void> | undefined
  const closeAll = async () => {
    for (let close = closers.pop(); close; close = closers.pop()) {
      await close().catch((error: unknown) => logger.error({ error: errorMessage(error) }, 'stopping'))
    }
  }
  const closeInOrder = async () => {
    logger.info('the node stops')
    await closeAll()
    logger.info('the node has stopped')
  }
  // Whoever asks second, such as the operator after a failure, waits for the same end.
  const stop = () => {
    stopping ??= closeInOrder()
    return stopping
  }
  const evidenceDir = join(dir, FILES.evidence)
  const onFatal = async (error: unknown) => {
    const facts = error instanceof QatError ? error.facts : {}
    // First of all, so that whatever happens next, the operator finds it.
    const kept = await keepReason(evidenceDir, error, systemClock.now()).catch(errorMessage)
    const reason = `the node cannot go on and stops: ${errorMessage(error)}`
    logger.fatal({ err: error, code: errorCode(error), facts, kept }, reason)
    await stop()
    options.onFatal?.(error)
  }
  const onEvidence = async (accusation: Accusation) => {
    const { evidence, accused, hash } = accusation
    const found = { accused, kind: evidence.kind, hash }
    logger.error(found, `${accused} signed two things that exclude each other; this is kept as evidence`)
    const file = await keepEvidence(evidenceDir, accusation)
    logger.error({ ...found, file }, 'check it with "qat evidence verify", and show it to the other teams')
  }
  try {
    const kv = await openLevel(join(dir, FILES.store))
    closers.push(() => kv.close())
    const store = await LedgerStore.open(kv, genesis)
    const keyRing = keyRingOf(dir, options.passphrase)
    const lapsed = await nameSpentKeys(store, keyRing)
    // Keys are replaced when the change that says so is certified: until then the old ones may be needed.
    const record = (await store.membersInForce()).nodeByName.get(name)
    const joined = peers.length > 0
    // A founder that was removed may be admitted again: its own chain tells it where the others are.
    if (!record && !joined && !genesis.membership.nodeByName.has(name)) {
      throw new FolderError(
        'folder-damaged',
        `${name} is no node of the ledger in ${dir}. Make one by "qat join".`,
      )
    }
    // Such a store may have forgotten a change of this node's keys, as may a folder that is older than its admission.
    const mayLag = lapsed !== undefined || (!replaced && joined)
    const keys = await readKeys(dir, record, mayLag, options.passphrase)
    await bindStore(store, name, keyRing)
    const mark = await nameSpentKeys(store, keyRing)
    // In this order: keys that lie in place while the store is still marked count as old ones.
    await boundBy(store, name, { node: keys.node.publicKey, cosigner: keys.cosigner.publicKey })
    await keys.adopt(mark !== undefined)
    // From here on it is used with these, also where the next change of them is certified before it starts again.
    await store.setOwner({ name, keys: (await keyRing.ids()).inPlace })
    checkGateway(dir, name, keys.gateway.publicKey, store.members.newest, logger)
    const qkd = await openNodeQkd({
      name,
      dir,
      config: qkdConfig(config.qkd, options.qkd),
      clock: systemClock,
      logger,
      metrics,
    })
    closers.push(() => qkd.close())
    const network = await createNetwork({
      self: name,
      genesisId: genesis.block.id,
      peerSeed: keys.peerSeed,
      listen: config.listen,
      logger,
      metrics,
      links: {
        signer: keys.node,
        verify: opensslSuite.verify,
        policy: qkd.policy,
        keys: qkd.keys,
        limits: qkd.limits,
        clock: systemClock,
        random: (bytes) => new Uint8Array(randomBytes(bytes)),
        onEvent: qkd.onEvent,
      },
    })
    const node = await LedgerNode.open({
      name,
      store,
      network,
      clock: systemClock,
      random: Math.random,
      suites: verifyQueue(opensslSuite),
      nodeKey: keys.node,
      cosigner: keys.cosigner,
      gateway: keys.gateway,
      logger,
      metrics,
      knownEvidence: await knownEvidence(evidenceDir, logger),
      onEvidence,
      onFatal: (error) => void onFatal(error),
      keyRing,
      hints: peers,
      onOut: (why) => void stop().then(() => onOut(why)),
    })
    const recorder = new LinkRecorder({
      name,
      ledger: genesis.parameters.ledger,
      gateway: keys.gateway,
      clock: systemClock,
      logger,
      service: node,
    })
    qkd.attach(recorder, () => network.links())
    closers.push(async () => recorder.stop())
    closers.push(() => node.stop())
    await node.start()
    const tokenFile = await openTokenFile({
      path: join(dir, FILES.tokens),
      read: () => readTokens(dir),
      logger,
    })
    closers.push(async () => tokenFile.close())
    const server = await createServer({
      service: node,
      links: qkd,
      tokens: tokenFile.tokens,
      names: [...(options.rpcNames ?? []), ...hostsOf(record ?? (await foundingRecord(dir)), config)],
      metrics,
      logger,
    })
    closers.push(() => server.close())
    const rpcUrl = await server.listen(config.rpc)
    if (stopping) {
      // It had to stop before it was up: what was built since then is closed, too.
      await stopping
      await closeAll()
    }
    logger.info({ rpcUrl, height: store.tip.height, genesis: genesis.block.id }, 'the node is up')
    return { rpcUrl, status: () => node.status(), reload: () => tokenFile.reload(), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** What the command line says goes before the folder; a server that it names is no KME of ours. */
function qkdConfig(stored: QkdConfig | undefined, given: Partial<QkdConfig> = {}): QkdConfig | undefined {
  const { server, ca, cert, key, mode = stored?.mode ?? 'require' } = given
  const aged = given.maxAgedSeconds ?? stored?.maxAgedSeconds
  const maxAged = aged === undefined ? {} : { maxAgedSeconds: aged }
  if (server !== undefined && ca !== undefined && cert !== undefined && key !== undefined) {
    return { mode, server, ca, cert, key, ...maxAged }
  }
  if (!stored && given.mode === 'require') {
    const message = 'QKD keys are required, but no KME is named: give --qkd-server with its certificates.'
    throw new FolderError('folder-damaged', message)
  }
  return stored && { ...stored, mode, ...maxAged }
}

/**
 * What the gateway signs names the member that has its key: it must be this node's. A key that the ledger does not know
 * may be about to be admitted, and the ledger takes nothing from it until then. Throws FolderError.
 */
function checkGateway(
  dir: string,
  name: string,
  key: PublicKey,
  membership: Membership,
  logger: Logger,
): void {
  const own = gatewayName(name)
  const path = join(dir, FILES.gatewayKey)
  const submitter = membership.submitterByKeyId.get(keyId(key))
  if (submitter !== undefined && submitter.name !== own) {
    throw new FolderError(
      'folder-damaged',
      `${path} is the key of ${submitter.name}, not of ${own}: put back the one of this node.`,
      { path },
    )
  }
  if (submitter === undefined && membership.submitters.some((known) => known.name === own)) {
    logger.error(
      { path },
      `the key in ${path} is not the one that the members have for ${own}: nothing sent by token is taken`,
    )
  }
}

/** Where its record says that the node is found, and the address that it binds. */
function hostsOf({ url, addresses }: NodeMember, { rpc }: NodeConfig): string[] {
  const hosts = addresses.map((address) => address.split('/')[2] ?? '')
  if (URL.canParse(url)) hosts.push(new URL(url).hostname.replace(/^\[|\]$/g, ''))
  return [rpc.host, ...hosts].filter((host) => host !== '' && host !== '0.0.0.0' && host !== '::')
}

async function knownEvidence(dir: string, logger: Logger): Promise<Evidence[]> {
  const files = await readEvidenceFolder(dir)
  for (const { path, evidence } of files) if (!evidence) logger.error({ path }, 'this file holds no evidence')
  return files.flatMap(({ evidence }) => (evidence ? [evidence] : []))
}

/**
 * Reads the three keys. Those that `record` names may wait in `next/`, and `adopt` moves them into place. If the
 * folder's chain may lag behind, its keys may be newer than that; else other keys are a mistake.
 */
async function readKeys(
  dir: string,
  record: NodeMember | undefined,
  mayLag: boolean,
  passphrase: string | undefined,
) {
  const named = record && (await keyFilesOf(dir, record, passphrase))
  if (record && !named && !mayLag) {
    throw new FolderError(
      'folder-damaged',
      `The keys in ${dir} are not those that the membership names for ${record.name}. Put those back, or ask an ` +
        `admin to replace the record of ${record.name} by that of this folder: "qat member record", "qat member replace".`,
    )
  }
  const inPlace = { nodeKey: join(dir, FILES.nodeKey), cosignerKey: join(dir, FILES.cosignerKey) }
  const files: KeyFiles = named ?? inPlace
  const read = async (path: string) => {
    const { alg, seed } = await readKeyFile(path, passphrase)
    return { signer: opensslSuite.signer(alg, seed), seed }
  }
  const node = await read(files.nodeKey)
  const cosigner = await read(files.cosignerKey)
  const gateway = await read(join(dir, FILES.gatewayKey))
  const peerSeed = peerSeedOf(node.seed)
  for (const { seed } of [node, cosigner, gateway]) seed.fill(0)
  return {
    node: node.signer,
    cosigner: cosigner.signer,
    gateway: gateway.signer,
    peerSeed,
    adopt: (keep: boolean) => adoptKeyFiles(dir, files, { keep, passphrase }),
  }
}
