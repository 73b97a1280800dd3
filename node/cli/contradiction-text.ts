/** The two sides of a contradiction, as `qat evidence verify` tells them: in JSON, as facts, and in words. */
import { toBase64, toHex } from '../../src/bytes.ts'
import { formatInstant, type JsonObject } from '../../src/json.ts'
import type { Contradiction, SignedCheckpoint, SignedSeal } from '../../src/ledger/contradiction.ts'
import type { Vote } from '../../src/ledger/vote.ts'
import { spellTime } from '../../src/notes/time.ts'
import { counted } from './output.ts'

/** What was signed, without the ledger, which is the same on both sides. */
export function sidesJson(found: Contradiction): JsonObject {
  switch (found.kind) {
    case 'two-seals':
      return { seals: found.seals.map(sealJson) }
    case 'two-votes':
      return { votes: found.votes.map(voteJson) }
    case 'two-acknowledgements':
      return {
        acknowledgements: found.acknowledgements.map(({ hash, height, term }) => ({ hash, height, term })),
      }
    case 'broken-candidacy':
      return { vote: voteJson(found.vote), seal: sealJson(found.seal) }
    case 'two-cosignatures': {
      const checkpoints = found.checkpoints.map((signed) => ({ ...signed, root: toHex(signed.root) }))
      return { checkpoints, ...(found.prefixRoot && { prefixRoot: toHex(found.prefixRoot) }) }
    }
  }
}

function sealJson({ hash, height, term, proposer, previous, count, time }: SignedSeal): JsonObject {
  return { hash, height, term, proposer, previous: toHex(previous), count, time: formatInstant(time) }
}

function voteJson({ term, candidate, base: { hash, height, term: baseTerm } }: Vote): JsonObject {
  return { term, candidate, base: { hash, height, term: baseTerm } }
}

type Facts = (readonly [string, string])[]

/** One fact for each side, and the proof if it takes one. */
export function sideFacts(found: Contradiction): Facts {
  const facts: Facts = sides(found).map((side, i) => [`Signed ${i + 1}`, side])
  if (found.kind === 'two-cosignatures' && found.prefixRoot) {
    const { size } = found.checkpoints[0]
    facts.push(['Proof', `the larger tree has root ${toBase64(found.prefixRoot)} at size ${size}`])
  }
  return facts
}

function sides(found: Contradiction): string[] {
  switch (found.kind) {
    case 'two-seals':
      return found.seals.map(sealText)
    case 'two-votes':
      return found.votes.map(voteText)
    case 'two-acknowledgements':
      return found.acknowledgements.map(({ hash }) => `an acknowledgement of block ${hash}`)
    case 'broken-candidacy':
      return [voteText(found.vote), `${sealText(found.seal)}, on block ${toHex(found.seal.previous)}`]
    case 'two-cosignatures':
      return found.checkpoints.map(checkpointText)
  }
}

function sealText({ hash, count, time }: SignedSeal): string {
  return `block ${hash} of ${counted(count, 'entry', 'entries')}, at ${formatInstant(time)} by its clock`
}

function voteText({ candidate, base }: Vote): string {
  return `a vote for ${candidate} on block ${base.hash} of height ${base.height} and term ${base.term}`
}

function checkpointText({ size, root, timestamp, name }: SignedCheckpoint): string {
  return `size ${size}, root ${toBase64(root)}, as ${name}, at ${spellTime(timestamp)} by its clock`
}

/** What the two are, and on the next line what an honest validator does. */
export function sidesInWords(found: Contradiction): string {
  const [what, honest] = inWords(found)
  return `${what}.\n    ${honest}.`
}

function inWords(found: Contradiction): [what: string, honest: string] {
  switch (found.kind) {
    case 'two-seals': {
      const [{ height, term }] = found.seals
      return [`two different blocks for height ${height} in term ${term}`, 'An honest proposer seals one']
    }
    case 'two-votes': {
      const [{ term }] = found.votes
      return [`two different votes in term ${term}`, 'An honest validator votes once in a term']
    }
    case 'two-acknowledgements': {
      const [{ height, term }] = found.acknowledgements
      return [
        `acknowledgements of two different blocks of term ${term} for height ${height}`,
        'An honest validator acknowledges one',
      ]
    }
    case 'broken-candidacy': {
      const { vote, seal } = found
      return [
        `a candidacy for term ${vote.term} on a block of height ${vote.base.height}, and a block of that term for height ${seal.height} that is not on it`,
        'An honest leader adds blocks to the one that it stood with',
      ]
    }
    case 'two-cosignatures': {
      const [a, b] = found.checkpoints
      const what =
        a.size === b.size
          ? `two different trees of ${a.size} leaves`
          : `a tree of ${a.size} leaves, and one of ${b.size} leaves that did not grow from it`
      return [what, 'An honest validator cosigns one tree as it grows']
    }
  }
}
