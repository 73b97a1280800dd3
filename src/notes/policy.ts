/** Trust policies of C2SP tlog-policy: the keys of logs and witnesses, and which of them make a quorum. */
import { exceedsUtf8, parseDecimal, toHex } from '../bytes.ts'
import { FormatError } from '../errors.ts'
import { POLICY_BYTES_MAX } from '../limits.ts'
import { parseVkey, printVkey, type VerifierKey } from './vkey.ts'

export interface PolicyLog {
  /** Its name is the log's origin. Several keys may share one origin: any of them makes the log's line. */
  readonly key: VerifierKey
  readonly url?: string
}

export interface PolicyWitness {
  /** The name used in groups and in verdicts; the key has a name of its own. */
  readonly name: string
  readonly key: VerifierKey
  readonly url?: string
}

export interface PolicyGroup {
  readonly name: string
  /** How many members it takes: from 1 to their number. */
  readonly threshold: number
  /** Witnesses, and groups that stand before this one. */
  readonly members: readonly string[]
}

export interface Policy {
  readonly logs: readonly PolicyLog[]
  readonly witnesses: readonly PolicyWitness[]
  /** In the order of their definition: a group names only what precedes it, so there are no cycles. */
  readonly groups: readonly PolicyGroup[]
  /** A witness, a group, or `none`. */
  readonly quorum: string
}

/** The quorum that asks for no cosignature beside the log's own line. */
export const NO_QUORUM = 'none'

/** Whether the witnesses with these names satisfy the quorum. */
export function satisfied(policy: Policy, witnesses: ReadonlySet<string>): boolean {
  if (policy.quorum === NO_QUORUM) return true
  const known = policy.witnesses.map(({ name }) => name)
  const met = new Set(known.filter((name) => witnesses.has(name)))
  // Members precede their group, so one pass settles them all, however deep they are nested.
  for (const { name, threshold, members } of policy.groups) {
    if (members.filter((member) => met.has(member)).length >= threshold) met.add(name)
  }
  return met.has(policy.quorum)
}

/** The witnesses that can count towards the quorum: it, the members of its group, and of the groups among them. */
export function quorumWitnesses({ groups, witnesses, quorum }: Policy): ReadonlySet<string> {
  const reached = new Set([quorum])
  // A group stands after its members, so going backwards each is met after the groups that name it.
  for (const { name, members } of groups.toReversed())
    if (reached.has(name)) for (const member of members) reached.add(member)
  return new Set(witnesses.map(({ name }) => name).filter((name) => reached.has(name)))
}

/**
 * Reads a policy of at most POLICY_BYTES_MAX bytes. Stricter than the specification in one point: text that
 * is not ASCII must be UTF-8. Throws FormatError bad-policy, bad-key, bad-base64, bad-integer or too-large.
 */
export function parsePolicy(text: string): Policy {
  checkCharacters(text)
  const draft = new PolicyDraft()
  for (const line of text.split('\n')) {
    const [keyword, ...fields] = line.split(/[ \t]+/).filter((field) => field !== '')
    if (keyword !== undefined && !keyword.startsWith('#')) draft.add(keyword, fields)
  }
  return draft.finish()
}

/** The policy's text: a line for each log, witness, group, and the quorum. Throws as `parsePolicy` does. */
export function printPolicy(policy: Policy): string {
  return printAndRead(policy).text
}

/** The policy as `parsePolicy` reads it from its text. Throws as `parsePolicy` does. */
export function readBack(policy: Policy): Policy {
  return printAndRead(policy).read
}

function printAndRead(policy: Policy): { text: string; read: Policy } {
  const text = render(policy)
  const read = parsePolicy(text)
  // Whatever the names and URLs hold, no text leaves that would be read as another policy, or not at all.
  if (render(read) !== text) throw bad('A name or URL of the policy holds white space.')
  return { text, read }
}

function render({ logs, witnesses, groups, quorum }: Policy): string {
  const lines = [
    ...logs.map(({ key, url }) => ['log', printVkey(key), url]),
    ...witnesses.map(({ name, key, url }) => ['witness', name, printVkey(key), url]),
    ...groups.map(({ name, threshold, members }) => ['group', name, threshold, ...members]),
    ['quorum', quorum],
  ]
  return lines.map((fields) => `${fields.filter((field) => field !== undefined).join(' ')}\n`).join('')
}

function bad(message: string): FormatError {
  return new FormatError('bad-policy', message)
}

class PolicyDraft {
  readonly #logs: PolicyLog[] = []
  readonly #witnesses: PolicyWitness[] = []
  readonly #groups: PolicyGroup[] = []
  readonly #names = new Set([NO_QUORUM])
  readonly #members = new Set<string>()
  readonly #keys = new Set<string>()
  #quorum: string | undefined

  add(keyword: string, fields: readonly string[]): void {
    switch (keyword) {
      case 'log':
        this.#log(fields)
        break
      case 'witness':
        this.#witness(fields)
        break
      case 'group':
        this.#group(fields)
        break
      case 'quorum':
        this.#setQuorum(fields)
        break
      default:
        throw bad(`Unknown policy line "${keyword.slice(0, 40)}".`)
    }
  }

  finish(): Policy {
    if (this.#quorum === undefined) throw bad('The policy has no quorum line.')
    return { logs: this.#logs, witnesses: this.#witnesses, groups: this.#groups, quorum: this.#quorum }
  }

  #log([vkey, url, ...rest]: readonly string[]): void {
    if (vkey === undefined || rest.length > 0) throw bad('A log line reads: log <vkey> [<url>].')
    const key = this.#key('log', vkey)
    this.#logs.push({ key, ...(url !== undefined && { url }) })
  }

  #witness([name, vkey, url, ...rest]: readonly string[]): void {
    if (name === undefined || vkey === undefined || rest.length > 0) {
      throw bad('A witness line reads: witness <name> <vkey> [<url>].')
    }
    const key = this.#key('witness', vkey)
    this.#define(name)
    this.#witnesses.push({ name, key, ...(url !== undefined && { url }) })
  }

  #group([name, count, ...members]: readonly string[]): void {
    if (name === undefined || count === undefined || members.length === 0) {
      throw bad('A group line reads: group <name> all|any|<k> <member>...')
    }
    const threshold = count === 'all' ? members.length : count === 'any' ? 1 : parseDecimal(count)
    if (threshold < 1 || threshold > members.length) {
      throw bad(`The threshold of group ${name} is not between 1 and ${members.length}.`)
    }
    for (const member of members) {
      this.#checkKnown(member)
      // Were a witness counted along two ways, one signature could be worth two.
      if (this.#members.has(member)) throw bad(`${member} is listed as a member twice.`)
      this.#members.add(member)
    }
    this.#define(name)
    this.#groups.push({ name, threshold, members })
  }

  #setQuorum([name, ...rest]: readonly string[]): void {
    if (name === undefined || rest.length > 0) throw bad('A quorum line reads: quorum <name>|none.')
    if (this.#quorum !== undefined) throw bad('The policy has two quorum lines.')
    if (name !== NO_QUORUM) this.#checkKnown(name)
    this.#quorum = name
  }

  #key(role: 'log' | 'witness', vkey: string): VerifierKey {
    const key = parseVkey(vkey)
    const claim = `${role} ${toHex(key.bytes)}`
    if (this.#keys.has(claim)) throw bad(`Two ${role} lines share one public key.`)
    this.#keys.add(claim)
    return key
  }

  #define(name: string): void {
    if (this.#names.has(name)) throw bad(`The name ${name} is defined twice.`)
    this.#names.add(name)
  }

  #checkKnown(name: string): void {
    if (name === NO_QUORUM || !this.#names.has(name)) throw bad(`${name} is not defined above.`)
  }
}

function checkCharacters(text: string): void {
  if (exceedsUtf8(text, POLICY_BYTES_MAX)) {
    throw new FormatError('too-large', `A policy has at most ${POLICY_BYTES_MAX} bytes.`)
  }
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if ((code < 0x20 && code !== 0x09 && code !== 0x0a) || code === 0x7f) {
      throw bad('The only control characters in a policy are tab and newline.')
    }
  }
  if (!text.isWellFormed()) throw bad('The policy is not valid Unicode.')
  if (!text.endsWith('\n')) throw bad('The last line of the policy does not end; is the file cut?')
}
