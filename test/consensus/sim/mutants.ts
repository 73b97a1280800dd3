/** Mistakes in the ordering rules, each as a change of its source, that simulated clusters must notice. */
export interface Mutant {
  readonly name: string
  readonly file: string
  readonly from: string
  readonly to: string
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'one vote fewer elects',
    file: 'quorum.ts',
    from: "if (yes >= quorum) return 'won'",
    to: "if (yes >= quorum - 1) return 'won'",
  },
  {
    name: 'one acknowledgement or lock fewer is a quorum',
    file: 'quorum.ts',
    from: 'names.includes(voter)).length >= quorum',
    to: 'names.includes(voter)).length >= quorum - 1',
  },
  {
    name: 'a certificate with one signature fewer is believed',
    file: 'proofs.ts',
    from: 'verified.filter(Boolean).length >= quorum',
    to: 'verified.filter(Boolean).length >= quorum - 1',
  },
  {
    name: 'signatures in certificates are not verified',
    file: 'proofs.ts',
    from: 'verified.filter(Boolean).length >= quorum',
    to: 'verified.length >= quorum',
  },
  {
    name: 'votes are given whatever the lock',
    file: 'election.ts',
    from: 'return compareRanks(base, core.rank) >= 0',
    to: 'return base.height >= 0 || core.listening',
  },
  {
    name: 'a voter votes for every candidate',
    file: 'election.ts',
    from: 'const free = vote === undefined && core.lead === undefined',
    to: 'const free = core.lead === undefined',
  },
  {
    name: 'a leader keeps what its base does not cover',
    file: 'core.ts',
    from: '    this.log.truncate(lead.base.block.height + 1)\n',
    to: '',
  },
  {
    name: 'a lock counts before it is on the disk',
    file: 'decide.ts',
    from: '    core.lockOn({ block: refOf(block)',
    to: '    core.locks.set(core.id, refOf(block))\n    core.lockOn({ block: refOf(block)',
  },
  {
    name: 'a follower takes a second block of the term',
    file: 'follower.ts',
    from: 'if (own.term === term) {',
    to: 'if (own.term > term) {',
  },
  {
    name: 'blocks need not build on the base',
    file: 'follower.ts',
    from: '  checkBuildsOnBase(core, message, lead)\n',
    to: '',
  },
  {
    name: 'acknowledgements are not verified',
    file: 'asking.ts',
    from: "known === undefined) return 'verify'",
    to: "known === undefined) return 'step'",
  },
  {
    name: 'one complaint ends a leadership',
    file: 'core.ts',
    from: 'return complaining.length + gone.length >= complaintsNeeded(configuration)',
    to: 'return complaining.length >= 1',
  },
  {
    name: 'a node goes on acknowledging after proven blocks have replaced what it acknowledged',
    file: 'follower.ts',
    from: 'core.abstains = true',
    to: 'core.abstains = false',
  },
]
