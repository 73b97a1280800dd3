/** The names in a ledger: its own, which is its C2SP origin, and those of its members. */
import { utf8 } from '../bytes.ts'
import { FormatError } from '../errors.ts'
import { NO_QUORUM } from '../notes/policy.ts'

/** What the seal of block 0, which no validator proposed, gives as its proposer. */
export const GENESIS_PROPOSER = 'genesis'
/** The group of a founding policy that holds every validator. */
export const VALIDATORS_GROUP = 'validators'

/**
 * The group's name after so many changes of membership. C2SP lets any octets stand in a policy's names; no
 * member's name holds a slash, so none can be taken for it.
 */
export function validatorsGroup(sequence: number): string {
  return sequence === 0 ? VALIDATORS_GROUP : `${VALIDATORS_GROUP}/${sequence}`
}

/** The inverse of `validatorsGroup`; undefined for every other name. */
export function sequenceOfGroup(name: string): number | undefined {
  const [, digits = '0'] = /^validators(?:\/([1-9][0-9]{0,15}))?$/.exec(name) ?? []
  const sequence = Number(digits)
  return validatorsGroup(sequence) === name ? sequence : undefined
}

export const MEMBER_NAME_BYTES_MAX = 63
/** `<origin>/<validator>` is a key name, and a cosignature has room for 255 bytes of it. */
export const ORIGIN_BYTES_MAX = 255 - 1 - MEMBER_NAME_BYTES_MAX

/** Words of the policy format: other readers of it refuse them as names. */
const POLICY_WORDS = ['log', 'witness', 'group', 'quorum', 'all', 'any', NO_QUORUM]
const RESERVED: readonly string[] = [GENESIS_PROPOSER, VALIDATORS_GROUP, ...POLICY_WORDS]

/** A C2SP origin that may also be a key name: no white space, no plus. FormatError bad-genesis if not. */
export function checkOrigin(origin: string): string {
  const usable = /^[^\p{White_Space}\p{Cc}+]+$/u.test(origin) && origin.isWellFormed()
  if (!usable || utf8(origin).length > ORIGIN_BYTES_MAX) {
    throw new FormatError(
      'bad-genesis',
      `The ledger's name must be a schema-less URL of 1 to ${ORIGIN_BYTES_MAX} bytes without spaces or "+".`,
    )
  }
  return origin
}

/** Lower-case letters, digits and inner hyphens, and no word that means something else where names stand. */
export function checkMemberName(name: string): string {
  if (!/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) {
    throw new FormatError('bad-field', 'A member name is made of 1 to 63 of a-z, 0-9 and inner hyphens.')
  }
  if (RESERVED.includes(name)) throw new FormatError('bad-field', `No member may be named "${name}".`)
  return name
}
