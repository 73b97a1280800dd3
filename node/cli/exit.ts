/** How a command ends: the exit codes that scripts rely on, and the error that stands behind each. */
import { QatError } from '../../src/errors.ts'

export const EXIT = {
  ok: 0,
  /** The ledger said no, or what was verified is false. */
  refused: 1,
  /** The command line itself is wrong: nothing was tried. */
  usage: 2,
  /** No answer, or not in time: trying again may help. */
  unreachable: 3,
  /** A store on this machine is damaged: `qat fsck` found it and did not repair it, or another command met it. */
  damaged: 4,
  /** A file is missing, cannot be read or written, or is not what it should be: nothing was judged. */
  file: 5,
  /** A proof agrees with itself, and nobody whom the caller trusts vouches for it. */
  untrusted: 6,
  /** The node answers, and what it is sent does not become final now: `qat status`. */
  notFinal: 7,
  /** A fault of ours (EX_SOFTWARE of sysexits). */
  internal: 70,
} as const

const EXIT_OF = {
  usage: EXIT.usage,
  'verification-failed': EXIT.refused,
  file: EXIT.file,
  'no-trusted-policy': EXIT.untrusted,
  'not-started': EXIT.refused,
  'would-stand-still': EXIT.refused,
  declined: EXIT.refused,
  'connection-lost': EXIT.unreachable,
  'timed-out': EXIT.unreachable,
} as const

/** A failure that the command line itself found. The message is one sentence that says what to do. */
export class CliError extends QatError<keyof typeof EXIT_OF> {
  get exit(): number {
    return EXIT_OF[this.code]
  }
}

/**
 * A command ended before all of it was answered, so that what it asked for may have been done all the same; the message
 * says how to ask again. `code` is that of the failure behind it.
 */
export class UnansweredError extends QatError {
  readonly exit: number

  constructor(failure: QatError, exit: number, message: string, facts: Record<string, unknown>) {
    super(failure.code, message, { ...failure.facts, ...facts }, { cause: failure })
    this.exit = exit
  }
}

export const EXIT_HELP = `
Exit codes:
  0   done
  1   refused, not found, or false: what was verified does not hold
  2   the command line is wrong
  3   the node cannot be reached or did not finish in time; trying again may help
  4   the store on this machine is damaged; qat fsck says how, and repairs it
  5   a file is missing, cannot be read or written, or is not what it should be; the message names it
  6   nothing is verified: the proof came without a policy that you trust (--policy)
  7   the node answers, but entries do not become final now (qat status)
  70  a fault in qat itself
`
