/**
 * Mistakes that the simulator must notice: each is one edit of the code, made on purpose. `find` stands exactly
 * once in `file`. `flags` fix what a seed would else decide, where the mistake shows only among liars.
 */
import { ORDERING } from './mutants-ordering.ts'

export interface Mutant {
  readonly file: string
  readonly find: string
  readonly replace: string
  readonly why: string
  readonly flags?: readonly string[]
  /** The suite that notices it, in place of the simulator: where it takes a rare turn, or costs only time. */
  readonly suite?: string
  /** What else it takes, where two rules prevent the same. */
  readonly also?: readonly Pick<Mutant, 'file' | 'find' | 'replace'>[]
}

export const MUTANTS: readonly Mutant[] = [
  ...ORDERING,
  {
    why: 'forgets the chain check: takes blocks on top of another predecessor',
    file: 'consensus/follower.ts',
    find: 'if (!log.has(prev)) {',
    replace: 'if (log.at(prev.height) === undefined) {',
    flags: ['--liars', '0'],
  },
  {
    why: 'truncates what it already has, committed blocks included',
    file: 'consensus/log.ts',
    find: 'if (own?.hash === block.hash) continue',
    replace: 'if (own?.hash === block.hash && at > 0) continue',
  },
  {
    why: 'applies before commit',
    file: 'consensus/log.ts',
    find: `    const from = this.#handed + 1
    this.#handed = Math.min(this.#commit, this.#stable)`,
    replace: `    const from = this.#handed + 1
    this.#handed = this.#stable`,
  },
  {
    why: 'acknowledges and votes before anything is durable',
    file: 'consensus/driver.ts',
    find: 'for (const { to, message } of ready.early) this.#ports.send(to, message)',
    replace:
      'for (const { to, message } of [...ready.early, ...ready.messages]) this.#ports.send(to, message)',
  },
  {
    why: 'skips the fsync of term and vote',
    file: 'node/store/ledger-store.ts',
    find: 'if (batch.length > 0) await this.#kv.write(batch, true)',
    replace: 'if (batch.length > 0) await this.#kv.write(batch, blocks.length > 0)',
  },
  {
    why: 'skips the fsync of blocks',
    file: 'node/store/ledger-store.ts',
    find: 'if (batch.length > 0) await this.#kv.write(batch, true)',
    replace: 'if (batch.length > 0) await this.#kv.write(batch, blocks.length === 0)',
  },
  {
    why: 'cosigns before the pair is on disk',
    file: 'node/core/certifier.ts',
    find: 'await store.setCosigned({ size, root })',
    replace: 'void store.setCosigned({ size, root })',
  },
  {
    why: 'cosigns without comparing the root with its own tree',
    file: 'node/core/certifier.ts',
    find: 'if (!ours || !equalBytes(ours.root, checkpoint.root)) this',
    replace: 'if (!ours) this',
    flags: ['--liars', '1'],
  },
  {
    why: 'forgets after a restart what it has cosigned',
    file: 'node/core/certifier.ts',
    find: 'new Certifier(ports, await ports.store.cosigned())',
    replace: 'new Certifier(ports, undefined)',
  },
  {
    why: 'accepts a certificate without a quorum',
    file: 'node/core/certifier.ts',
    find: 'if (!this.#suffices({ checkpoint, lines })) return',
    replace: 'if (!this.#hasLogLine({ checkpoint, lines })) return',
  },
  {
    why: 'takes pulled blocks without checking them',
    file: 'node/core/puller.ts',
    find: 'await unapplied.checkProven(parent, blocks)',
    replace: `blocks.map(({ block: { id, bytes, seal } }) =>
      ({ height: seal.height, term: seal.term, hash: id, prev: toHex(seal.previous), body: bytes }))`,
  },
  {
    why: 'installs pulled blocks without the proof that the certificate covers them',
    file: 'node/core/sync.ts',
    find: `  const last = blocks.at(-1)
  if (last) {`,
    replace: `  const last = blocks.at(-1)
  if (last && checkpoint.size < 0) {`,
    flags: ['--liars', '1'],
  },
  {
    why: 'believes a certificate that a peer sends',
    file: 'node/core/certifier.ts',
    find: 'const { checkpoint } = await verifyCertificate(suite, this.policyAt(size), given)',
    replace: 'const checkpoint = suite && this.policyAt(size) && parseCheckpoint(text)',
    flags: ['--liars', '1'],
  },
  {
    why: 'takes blocks whose signatures do not verify',
    file: 'node/core/unapplied.ts',
    find: 'if (!(await verifyAll(suite, signatures))) {',
    replace: 'if (!(await verifyAll(suite, signatures)) && signatures.length === 0) {',
    flags: ['--liars', '1'],
  },
  {
    why: 'does not ask whether a submitter may log what it logs',
    file: 'src/ledger/chain.ts',
    find: 'if (!maySpeak(submitter, claim)) {',
    replace: 'if (!maySpeak(submitter, claim) && source === type) {',
    flags: ['--liars', '1'],
  },
  {
    why: 'takes the same entry twice',
    file: 'src/ledger/chain.ts',
    find: 'if (ids.has(id) || seen(id))',
    replace: 'if (ids.has(id) && seen(id))',
    flags: ['--liars', '1'],
  },
  {
    why: 'takes blocks from the future',
    file: 'src/ledger/chain.ts',
    find: 'if (seal.time > now + limits.clockSkewMs) {',
    replace: 'if (seal.time > now + 1_000 * limits.clockSkewMs) {',
    flags: ['--liars', '1'],
  },
  {
    why: 'keeps no evidence of two cosignatures',
    file: 'node/core/evidence.ts',
    find: 'if (this.#places.has(place) || this.#isConvicted(evidence)) return',
    replace: "if (this.#places.has(place) || evidence.kind === 'two-cosignatures') return",
    flags: ['--liars', '1'],
  },
  {
    why: 'keeps no evidence of two seals',
    file: 'node/core/seal-watch.ts',
    find: 'if (!equalBytes(encodeEnvelope(other), encodeEnvelope(said))) return twoSeals(key, other, said)',
    replace: 'if (other.payload.length === 0) return twoSeals(key, other, said)',
    flags: ['--liars', '1'],
  },
  {
    why: 'drops entries that it has called pending: they are never put on disk',
    file: 'node/core/pending-entries.ts',
    find: 'await store.addPending([entry])',
    replace: 'await Promise.resolve()',
  },
  {
    why: 'does not look for events already recorded when it admits an entry',
    file: 'node/core/admission.ts',
    find: 'if (recorded.event === undefined) return undefined',
    replace: 'if (recorded.event !== null) return undefined',
  },
  {
    why: 'calls an entry final as soon as it is ordered',
    file: 'node/core/waiters.ts',
    find: "this.#release(id, { stage: 'ordered', place })",
    replace: "this.#release(id, { stage: 'final', place })",
  },
  {
    why: 'serves what the disk returns, right or wrong',
    file: 'node/store/checked-kv.ts',
    find: 'if (checksum(key, value) !== expected) throw badValue(key)',
    replace: 'if (checksum(key, value) !== expected) return value',
  },
  {
    why: 'takes part again with an empty disk, as if it had never promised anything',
    file: 'node/store/ledger-store.ts',
    find: "...(fresh ? [] : [records.recoveringWrite({ keys: [], why: 'lost' })]),",
    replace: "...(fresh || !fresh ? [] : [records.recoveringWrite({ keys: [], why: 'lost' })]),",
  },
  {
    why: 'takes part again under the keys with which it may have signed what its store has forgotten',
    file: 'node/core/recovery.ts',
    find: 'if (mark.keys.includes(keyId(own.node)) || mark.keys.includes(keyId(own.cosigner))) return mark',
    replace: '',
  },
  {
    why: 'cosigns though its store may have forgotten what it signed',
    file: 'node/core/replica.ts',
    find: 'signer: recovering ? undefined : cosigner,',
    replace: 'signer: cosigner,',
  },
  {
    why: 'cosigns beyond the checkpoint of a change before that is certified',
    file: 'node/core/certifier.ts',
    find: 'return Math.min(this.#ports.store.tip.size, this.#boundary)',
    replace: 'return this.#ports.store.tip.size',
    flags: ['--admins', '1'],
  },
  {
    why: 'certifies the checkpoint of a change under the policy after it',
    file: 'node/store/member-history.ts',
    find: 'findLast(({ above }) => above < size)',
    replace: 'findLast(({ above }) => above <= size)',
    flags: ['--admins', '1'],
  },
  {
    why: 'judges the entries of a block by the change that stands in it',
    file: 'src/ledger/chain.ts',
    find: 'entrySignatures.push(checkEntry(state, entry))',
    replace: `const { membership } = state
    const change = changeIn(entry)
    entrySignatures.push(checkEntry(state, entry))
    if (change) state = { ...state, membership: applyChange(membership, change) }`,
    flags: ['--admins', '1'],
  },
  {
    why: 'counts learners among the voters',
    file: 'node/core/unapplied.ts',
    find: `    voters: validators.map(({ name }) => name),
    quorum: cosigners,
    learners: leaving === undefined ? names : [...names, leaving],`,
    replace: `    voters: [...validators.map(({ name }) => name), ...names],
    quorum: Math.max(cosigners, Math.floor((validators.length + names.length) / 2) + 1),
    learners: leaving === undefined ? [] : [leaving],`,
    flags: ['--admins', '1'],
  },
  {
    why: 'a removed node goes on voting',
    file: 'node/core/unapplied.ts',
    find: `    voters: validators.map(({ name }) => name),
    quorum: cosigners,
    learners: leaving === undefined ? names : [...names, leaving],`,
    replace: `    voters: [...validators.map(({ name }) => name), ...(leaving === undefined ? [] : [leaving])],
    quorum: Math.max(cosigners, Math.floor((validators.length + 1) / 2) + 1),
    learners: names,`,
    flags: ['--admins', '1'],
  },
  {
    why: 'takes a change that too few admins have signed',
    file: 'src/ledger/change.ts',
    find: 'if (admins.length < membership.adminQuorum) {',
    replace: 'if (admins.length < 1) {',
    flags: ['--admins', '2'],
  },
  {
    why: 'goes on with what a removed submitter has left in the pool',
    file: 'node/core/replica.ts',
    find: 'this.#pending.sift()',
    replace: '//',
    flags: ['--admins', '2'],
  },
  {
    why: 'a removed node does not find out',
    file: 'node/core/ledger-node.ts',
    find: "if (!store.members.some((membership) => this.#standingIn(membership) !== 'outside')) return",
    replace: "if (store.members.some((membership) => this.#standingIn(membership) !== 'outside')) return",
    flags: ['--admins', '1'],
  },
  {
    why: 'answers linearizable reads without asking the leader',
    file: 'node/core/reads.ts',
    find: 'let height = await this.#ask()',
    replace: 'let height: number | undefined = this.#ports.height()',
  },
  {
    why: 'a leader answers reads without asking whether it still leads',
    file: 'consensus/reads.ts',
    find: 'return core.reachedByQuorum(core.round, ({ round }) => round)',
    replace: 'return Number.POSITIVE_INFINITY',
    suite: 'test/consensus/reads.test.ts',
  },
  {
    why: 'ignores a cosignature of its own that its store has forgotten',
    file: 'node/core/certifier.ts',
    find: 'if (own && checkpoint.size > (this.#cosigned?.size ?? 0)) onForgotten(checkpoint.size)',
    replace: 'if (own && checkpoint.size < 0) onForgotten(checkpoint.size)',
    suite: 'test/node/certifier.test.ts',
  },
  {
    why: 'keeps in the pool what a write that had seemed to fail has applied',
    file: 'node/core/pending-entries.ts',
    find: 'if (leaf !== undefined) pool.remove(entry.id)',
    replace: 'if (leaf !== undefined) continue',
  },
]
