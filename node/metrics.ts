/** The node's Prometheus metrics, all in one table. One registry for each node: several live in one test. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { socketBytes, watchSockets } from './net/socket-bytes.ts'
import { shared } from './shared.ts'

export type Metrics = ReturnType<typeof createMetrics>

export function createMetrics(labels: { node: string; ledger: string }) {
  const registry = new Registry()
  registry.setDefaultLabels(labels)
  collectDefaultMetrics({ register: registry, prefix: 'qat_' })
  // Gauges that are called totals, of what the gauges without that word say by kind.
  for (const what of ['handles', 'requests', 'resources']) {
    registry.removeSingleMetric(`qat_nodejs_active_${what}_total`)
  }
  const registers = [registry]
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Counter({ name: `qat_${name}`, help, labelNames, registers })
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Gauge({ name: `qat_${name}`, help, labelNames, registers })
  const seconds = (name: string, help: string) => {
    const buckets = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10]
    return new Histogram({ name: `qat_${name}_seconds`, help, buckets, registers })
  }
  watchSockets()
  for (const way of ['sent', 'received'] as const) {
    new Counter({
      name: `qat_network_${way}_bytes_total`,
      help: `Bytes ${way} over TCP by this process, peers and clients together`,
      registers,
      collect() {
        this.reset()
        this.inc(socketBytes()[way])
      },
    })
  }
  const collectors: (() => Promise<void>)[] = []
  const link = ['link'] as const
  return {
    registry,
    /** Calls `collect` before the metrics are read. */
    onCollect: (collect: () => Promise<void>) => void collectors.push(collect),
    text: shared(async () => {
      for (const collect of collectors) await collect()
      return registry.metrics()
    }),
    height: gauge('height', 'Height of the newest applied block'),
    treeSize: gauge('tree_size', 'Leaves in the tree'),
    finalSize: gauge('final_size', 'Tree size of the newest certificate'),
    term: gauge('term', 'Raft term'),
    isLeader: gauge('is_leader', '1 while this node leads'),
    pending: gauge('pending_entries', 'Admitted entries that are in no block yet'),
    peers: gauge('connected_peers', 'Connected members'),
    entriesApplied: counter('entries_applied_total', 'Entries applied'),
    blocksApplied: counter('blocks_applied_total', 'Blocks applied'),
    submissions: counter('submissions_total', 'Submissions by outcome: ok or an error code', ['outcome']),
    rpcRequests: counter('rpc_requests_total', 'JSON-RPC calls by method and outcome', ['method', 'outcome']),
    rpcHeldBytes: gauge(
      'rpc_held_bytes',
      'Bytes that JSON-RPC callers make this node hold, unread answers above all',
    ),
    refusedPeers: counter('refused_peers_total', 'Connections refused because the peer is no member'),
    halfOpenClosed: counter(
      'half_open_closed_total',
      'Inbound connections closed before it was known whose they are: silent, slow or too many',
    ),
    misbehaviour: counter('peer_misbehaviour_total', 'Protocol violations by member and code', [
      'peer',
      'code',
    ]),
    droppedFrames: counter('dropped_frames_total', 'Frames not sent: peer absent or its queue full', [
      'peer',
    ]),
    gossip: counter('gossip_messages_total', 'Gossip messages by topic and verdict', ['topic', 'verdict']),
    cosignatures: counter('cosignatures_total', 'Cosignatures made by this node'),
    certificates: counter('certificates_total', 'Certificates assembled or received'),
    persistSeconds: seconds('persist', 'One synced write of the Raft log'),
    applySeconds: seconds('apply', 'One synced application of committed blocks'),
    orderSeconds: seconds('order', 'Admission to applied block, entries admitted here'),
    qkdQber: gauge('qkd_qber', 'Error rate of the last block of a QKD link', link),
    qkdRate: gauge('qkd_secret_bytes_per_second', 'Secret bytes a second of a QKD link', link),
    qkdPoolKeys: gauge('qkd_pool_keys', 'QKD keys in store for a link', link),
    qkdEfficiency: gauge(
      'qkd_ec_efficiency',
      'Disclosed bits over the least possible, of the last block',
      link,
    ),
    qkdLinkState: gauge('qkd_link_state', 'How a link is keyed: 0 NONE, 1 AGED, 2 FRESH', link),
    qkdKeyAge: gauge('qkd_key_age_seconds', 'Age of the keys that a link uses', link),
    qkdBlocks: counter('qkd_blocks_total', 'Blocks of QKD links by result', ['link', 'result']),
    qkdLeaked: counter('qkd_leaked_bytes_total', 'Bytes about keys disclosed by error correction', link),
    qkdEncKeys: counter('qkd_enc_keys_total', 'Answers of the KME to "Get key" by HTTP status', ['code']),
    qkdDecKeys: counter('qkd_dec_keys_total', 'Answers to "Get key with key IDs" by HTTP status', ['code']),
    qkdCertificateEnd: gauge(
      'qkd_certificate_end_timestamp_seconds',
      'When the first certificate by which QKD keys are made or fetched ends, in seconds since 1970',
    ),
    qkdRekeys: counter('qkd_rekeys_total', 'Renewals of link keys: qkd or mlkem_only', ['kind']),
    qkdRefusals: counter('qkd_refusals_total', 'Links refused or given up, by reason', ['code']),
    qkdHandshake: seconds('qkd_handshake', 'One first key agreement of a link'),
    finalSeconds: seconds('final', 'Admission to certificate, entries admitted here'),
  }
}
