/** Mistakes in the rules by which blocks are ordered among liars: see `mutants.ts`. */
import type { Mutant } from './mutants.ts'

const HONEST = ['--liars', '0']
/** One of four, and two of seven. */
const ONE = ['--liars', '1', '--nodes', '4']
const TWO = ['--liars', '2', '--nodes', '7']

export const ORDERING: readonly Mutant[] = [
  {
    why: 'votes twice in a term',
    file: 'consensus/election.ts',
    find: 'const free = vote === undefined && core.lead === undefined',
    replace: 'const free = vote === undefined || core.lead === undefined',
  },
  {
    why: 'votes in spite of a higher lock',
    file: 'consensus/election.ts',
    find: ' || !reaches(core, block)) {',
    replace: ') {',
    flags: HONEST,
  },
  {
    why: 'leads with a vote less than a quorum',
    file: 'consensus/quorum.ts',
    find: "if (yes >= quorum) return 'won'",
    replace: "if (yes >= quorum - 1) return 'won'",
    flags: HONEST,
  },
  {
    why: 'believes a term without counting the votes in its certificate',
    file: 'consensus/proofs.ts',
    find: 'const enough = await countsAsQuorum(ports, configuration, votes, statement, [])',
    replace:
      'const enough = votes.length >= 0 || (await countsAsQuorum(ports, configuration, votes, statement, []))',
    flags: ONE,
  },
  {
    why: 'counts votes and acknowledgements in a proof without verifying them',
    file: 'consensus/proofs.ts',
    find: 'return already + verified.filter(Boolean).length >= quorum',
    replace: 'return already + verified.length >= quorum',
    flags: ONE,
  },
  {
    why: 'takes blocks from anyone who speaks in the term',
    file: 'consensus/raft.ts',
    find: 'if (from !== lead.leader) {',
    replace: 'if (from !== lead.leader && core.voters.length === 0) {',
    flags: ONE,
    also: [
      {
        file: 'consensus/raft.ts',
        find: 'if (message.term !== term || lead?.leader !== from) return undefined',
        replace: 'if (message.term !== term || lead === undefined) return undefined',
      },
      {
        file: 'consensus/follower.ts',
        find: 'if (block.term !== term || block.proposal?.by === leader) continue',
        replace: 'if (block.term !== term || leader !== undefined) continue',
      },
    ],
  },
  {
    why: 'lets genesis rank as high as a candidate says',
    file: 'node/core/statements.ts',
    find: 'return height === 0 && term === 0 && hash',
    replace: 'return height === 0 && term >= 0 && hash',
    flags: TWO,
  },
  {
    why: 'forgets its lock at a restart',
    file: 'node/core/replica.ts',
    find: 'certified: await highestCertified(store, certifier),',
    replace:
      "certified: { block: { height: 0, term: 0, hash: store.genesis.block.id }, proof: { kind: 'genesis' } },",
  },
  {
    why: 'does not put the lock on the disk',
    file: 'node/store/ledger-store.ts',
    find: 'if (certified) batch.push(records.certifiedWrite(certified))',
    replace: 'if (certified?.block.height === 0) batch.push(records.certifiedWrite(certified))',
    flags: HONEST,
  },
  {
    why: 'says that it is locked before that is durable',
    file: 'consensus/decide.ts',
    find: "core.tellAll({ kind: 'locked', term, height, hash: block.hash })",
    replace:
      "for (const to of core.voters) if (to !== core.id) core.early.push({ to, message: { kind: 'locked', term, height, hash: block.hash } })",
    flags: HONEST,
  },
  {
    why: 'counts its own lock before that is durable',
    file: 'consensus/decide.ts',
    find: '    forget(core)\n    if (counts(core, height)) {',
    replace:
      '    forget(core)\n    if (counts(core, height)) {\n      core.locks.set(core.id, refOf(block))\n      decide(core)',
    flags: HONEST,
  },
  {
    why: 'decides with a lock less than a quorum',
    file: 'consensus/decide.ts',
    find: 'if (!configurations.every((configuration) => isQuorum(configuration, locked))) continue',
    replace:
      'if (!configurations.every(({ voters, quorum }) => isQuorum({ voters, learners: [], quorum: quorum - 1 }, locked))) continue',
  },
  {
    why: 'counts locks of two terms together',
    file: 'consensus/decide.ts',
    find: 'log.has(ref) && log.at(ref.height)!.term === term',
    replace: 'log.has(ref)',
    also: [{ file: 'consensus/core.ts', find: '      this.locks = new Map()\n', replace: '' }],
  },
  {
    why: 'applies and cosigns what is only certified',
    file: 'consensus/decide.ts',
    find: '    forget(core)\n    if (counts(core, height)) {',
    replace: '    forget(core)\n    log.commitTo(height)\n    if (counts(core, height)) {',
  },
  {
    why: 'is locked with an acknowledgement less than a quorum',
    file: 'consensus/decide.ts',
    find: 'configurations.every((configuration) => isQuorum(configuration, names)) ? found',
    replace:
      'configurations.every(({ voters, quorum }) => isQuorum({ voters, learners: [], quorum: quorum - 1 }, names)) ? found',
  },
  {
    why: 'acknowledges blocks of earlier terms in its own',
    file: 'consensus/follower.ts',
    find: 'block !== undefined && block.term === term && match > (acknowledged?.height ?? 0)',
    replace: 'block !== undefined && match > (acknowledged?.height ?? 0)',
    flags: HONEST,
    also: [
      {
        file: 'consensus/follower.ts',
        find: 'if (term !== core.term || core.abstains || !log.has({ term, height, hash })) return',
        replace: 'if (term !== core.term || core.abstains || log.at(height)?.hash !== hash) return',
      },
      {
        file: 'consensus/core.ts',
        find: "const held = (each: Statement) => each.kind === 'acknowledgement' && this.log.has(each)",
        replace:
          "const held = (each: Statement) => each.kind === 'acknowledgement' && this.log.at(each.height)?.hash === each.hash",
      },
    ],
  },
  {
    why: 'takes another block of the term in the place of one that it has acknowledged, and acknowledges both',
    file: 'consensus/follower.ts',
    find: '  if (own.term === term) {\n    throw',
    replace: '  if (own.term === term && own.height === 0) {\n    throw',
    flags: ONE,
    also: [
      {
        file: 'consensus/follower.ts',
        find: '  if (height <= (acknowledged?.height ?? 0)) return\n  core.acknowledged',
        replace: '  core.acknowledged',
      },
      {
        file: 'consensus/follower.ts',
        find: 'block.term === term && match > (acknowledged?.height ?? 0)',
        replace: 'block.term === term && match > 0',
      },
    ],
  },
  {
    why: 'acknowledges again after proven blocks have replaced one of the term',
    file: 'consensus/follower.ts',
    find: '    core.abstains = true\n',
    replace: '',
    flags: TWO,
  },
  {
    why: 'forgets at a restart that it abstains',
    file: 'consensus/core.ts',
    find: 'this.abstains = config.hardState.abstains',
    replace: 'this.abstains = false',
    suite: 'test/consensus/raft.test.ts',
  },
  {
    why: 'follows a leader beside the base that it was elected for',
    file: 'consensus/follower.ts',
    find: '  checkBuildsOnBase(core, message, lead)\n  if (prev',
    replace: '  if (prev',
    flags: TWO,
    also: [
      {
        file: 'consensus/follower.ts',
        find: 'return first.height > lead.base.block.height || blocks.at(-1)!.height >= lead.base.block.height',
        replace: 'return true',
      },
    ],
  },
  {
    why: 'keeps what it holds above its base when it is elected',
    file: 'consensus/core.ts',
    find: '    this.log.truncate(lead.base.block.height + 1)\n',
    replace: '',
    flags: HONEST,
  },
  {
    why: 'says in a later term what it is locked on of an earlier one',
    file: 'consensus/asking.ts',
    find: 'if (block.term !== core.term || !core.lockIsDurable',
    replace: 'if (!core.lockIsDurable',
    flags: HONEST,
  },
  {
    why: 'judges votes by the members before the base, and acknowledgements by those after the block',
    file: 'node/core/statements.ts',
    find: "statement.kind === 'vote'\n        ? await this.#membersAfter(statement.base)\n        : await this.#membersBefore(statement)",
    replace:
      "statement.kind === 'vote'\n        ? await this.#membersBefore(statement.base)\n        : await this.#membersAfter(statement)",
    flags: ['--admins', '2', ...HONEST],
  },
  {
    why: 'a node that may have forgotten what it signed votes and acknowledges all the same',
    file: 'node/core/replica.ts',
    find: 'if (this.#stopped || this.recovering || !this.driver.raft.listening) return',
    replace: 'if (this.#stopped || !this.driver.raft.listening) return',
    also: [
      {
        file: 'node/core/replica.ts',
        find: 'if (!this.recovering) this.#timers.push(clock.every(JOIN_MS',
        replace: 'if (this.standing) this.#timers.push(clock.every(JOIN_MS',
      },
    ],
    flags: HONEST,
  },
  {
    why: 'believes all that a leader says against an entry',
    file: 'node/core/replica.ts',
    find: '|| !isLeadersToSay(entry, refusal, newest)) return',
    replace: ') return',
    flags: ONE,
  },
  {
    why: 'nobody complains of a leader',
    file: 'consensus/complaints.ts',
    find: '} else if (core.stalledTicks >= STALL_TIMEOUTS * core.electionTicks) complain(core)',
    replace: '}',
    also: [
      {
        file: 'node/core/patience.ts',
        find: 'if (this.#leader !== undefined && tooLate) complain()',
        replace: 'if (this.#leader === undefined && tooLate) complain()',
      },
    ],
    suite: 'test/node/patience.test.ts',
  },
  {
    why: 'entries that wait too long are not shown to the others',
    file: 'node/core/patience.ts',
    find: 'if (shown.length > 0) show(shown)',
    replace: 'if (shown.length > 1_000) show(shown)',
    suite: 'test/node/patience.test.ts',
  },
  {
    why: 'as many complaints as may be lies depose a leader',
    file: 'consensus/quorum.ts',
    find: 'return 2 * quorum - voters.length\n',
    replace: 'return Math.max(1, 2 * quorum - voters.length - 1)\n',
    suite: 'test/consensus/complaints.test.ts',
  },
  {
    why: 'does not count those who have left the term of a leader that is complained of',
    file: 'consensus/core.ts',
    find: 'return complaining.length + gone.length >=',
    replace: 'return complaining.length + 0 * gone.length >=',
    suite: 'test/consensus/complaints.test.ts',
  },
  {
    why: 'heeds a validator that has led in vain again and again',
    file: 'consensus/standings.ts',
    find: 'return now < (this.#of.get(id)?.shunnedUntil ?? 0)',
    replace: 'return now < 0 * (this.#of.get(id)?.shunnedUntil ?? 0)',
    suite: 'test/consensus/standings.test.ts',
  },
  {
    why: 'a block that contradicts a committed one ends the process',
    file: 'consensus/log.ts',
    find: "throw new RefusedError('bad-chain', 'The sender contradicts a committed block.', {",
    replace: "throw new Error('The sender contradicts a committed block.' + {",
    also: [
      {
        file: 'consensus/follower.ts',
        find: '  checkBuildsOnBase(core, message, lead)\n  if (prev',
        replace: '  if (prev',
      },
    ],
    suite: 'test/consensus/follower.test.ts',
  },
  {
    why: 'keeps no evidence of two votes',
    file: 'node/core/statement-watch.ts',
    find: 'else if (!equalBytes(other.envelope.payload, envelope.payload)) {\n      found.push',
    replace: 'else if (other.envelope.payload.length === 0) {\n      found.push',
    flags: TWO,
  },
  {
    why: 'keeps no evidence of two acknowledgements',
    file: 'node/core/statement-watch.ts',
    find: 'else if (!equalBytes(other.payload, envelope.payload)) {',
    replace: 'else if (other.payload.length === 0) {',
    flags: ONE,
  },
  {
    why: 'keeps no evidence of blocks that break a candidacy',
    file: 'node/core/statement-watch.ts',
    find: 'if (!stood || whyHonest(stood.vote, seal) !== undefined) return undefined',
    replace: 'if (!stood || seal.height >= 0) return undefined',
    suite: 'test/node/statement-watch.test.ts',
  },
  {
    why: 'does not look at the seals of blocks that nobody may take',
    file: 'node/core/unapplied.ts',
    find: '.slice(0, EXAMINED_MAX)',
    replace: '.slice(0, 0 * EXAMINED_MAX)',
    suite: 'test/node/unapplied.test.ts',
  },
]
