/** How a command ends: the exit codes that scripts rely on, and the error that stands behind each. */
import { QatError } from '../../src/errors.ts'

export const EXIT = {
  ok: 0,
  /** The ledger, a verification or a file said no. */
  refused: 1,
  /** The command line itself is wrong: nothing was tried. */
  usage: 2,
  /** No answer, or not in time: trying again may help. */
  unreachable: 3,
  /** A store on this machine is damaged: `qat fsck` found it and did not repair it, or another command met it. */
  damaged: 4,
  /** The node answers, and what it is sent does not become final now: `qat status`. */
  notFinal: 6,
  /** A fault of ours (EX_SOFTWARE of sysexits). */
  internal: 70,
} as const

const EXIT_OF = {
  usage: EXIT.usage,
  'verification-failed': EXIT.refused,
  file: EXIT.refused,
  'not-started': EXIT.refused,
  'would-stand-still': EXIT.refused,
  'connection-lost': EXIT.unreachable,
  'timed-out': EXIT.unreachable,
} as const

/** A failure that the command line itself found. The message is one sentence that says what to do. */
export class CliError extends QatError<keyof typeof EXIT_OF> {
  get exit(): number {
    return EXIT_OF[this.code]
  }
}

export const EXIT_HELP = `
Exit codes:
  0   done
  1   refused, not found, or the verification failed
  2   the command line is wrong
  3   the node cannot be reached or did not finish in time; trying again may help
  4   the store on this machine is damaged; qat fsck says how, and repairs it
  6   the node answers, but entries do not become final now (qat status)
  70  a fault in qat itself
`
