/** `qat evidence`: what a node holds against validators, and whether it convicts. Needs no node and no network. */
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { errorCode, errorMessage } from '../../../src/errors.ts'
import { type Json, type JsonObject, parseJson } from '../../../src/json.ts'
import {
  accusedName,
  type Contradiction,
  claimedName,
  type Known,
  verifyEvidence,
} from '../../../src/ledger/contradiction.ts'
import { entryFromJson } from '../../../src/ledger/entry.ts'
import { decodeEvidence, type Evidence } from '../../../src/ledger/evidence.ts'
import { evidenceFromEntry, evidenceHash } from '../../../src/ledger/evidence-event.ts'
import { type Genesis, readGenesis } from '../../../src/ledger/genesis.ts'
import type { Membership } from '../../../src/ledger/membership.ts'
import { BUNDLE_FILES } from '../../../src/light/bundle.ts'
import { decodePolicyUpdates, followMemberships } from '../../../src/light/updates.ts'
import { BLOCK_BYTES_MAX, POLICY_BYTES_MAX, POLICY_UPDATES_BYTES_MAX } from '../../../src/limits.ts'
import { parsePolicy } from '../../../src/notes/policy.ts'
import { textOfFile } from '../../../src/notes/text-file.ts'
import { opensslSuite } from '../../crypto/openssl.ts'
import { readEvidenceFolder } from '../../evidence-folder.ts'
import { FILES } from '../../folder.ts'
import { sideFacts, sidesInWords, sidesJson } from '../contradiction-text.ts'
import { CliError } from '../exit.ts'
import { inFile, isAbsent, readInput, reasonOf } from '../files.ts'
import type { GlobalOptions } from '../options.ts'
import { factSheet, printJson, printText, table } from '../output.ts'

interface VerifyOptions extends GlobalOptions {
  readonly policy?: string
  readonly genesis?: string
  readonly updates?: string
}

interface ListOptions extends GlobalOptions {
  readonly dir: string
}

/** `qat get --json` shows an entry twice, as it was signed and in plain sight. */
const FILE_BYTES_MAX = 262_144

const HELP = `
Examples:
  qat evidence list --dir ledger/alpha
  qat evidence verify ledger/alpha/evidence/two-seals-bravo-0f3a….json --genesis ledger/genesis.block
`

const VERIFY_HELP = `
Examples:
  qat evidence verify evidence/two-seals-bravo-0f3a….json --genesis genesis.block
  qat get --json 1042 | qat evidence verify - --genesis genesis.block
  qat prove 1042 --out proof --policy founding-policy
  qat evidence verify proof/${BUNDLE_FILES.entry} --genesis genesis.block --updates proof/${BUNDLE_FILES.updates}

FILE is evidence as a node wrote it, or an entry that holds some: what "qat get --json" prints, or the
entry.dsse.json of a proof. The contradiction stands by itself; the other files say whose key it is. Genesis knows all
keys of the first validators, and with the changes since then those of all later ones: they stand in ${BUNDLE_FILES.updates}
of a proof that was made with the founding policy. A policy knows only the keys that cosign. A key that the files do
not know is refused.
`

const LIST_HELP = `
Examples:
  qat evidence list --dir ledger/alpha
`

export function addEvidenceCommand(program: Command): void {
  const evidence = program
    .command('evidence')
    .description('check evidence against validators, and list what a node keeps')
    .helpCommand(false)
    .addHelpText('after', HELP)
  evidence
    .command('verify')
    .argument('<file>', 'evidence, or an entry that holds some; - for standard input')
    .description('verify offline that one key signed two things that exclude each other')
    .option('--policy <file>', "the ledger's policy: names the keys that cosign")
    .option('--genesis <file>', "the ledger's genesis.block: names all keys of its first validators")
    .option('--updates <file>', 'with --genesis, the changes of membership since: names keys that came later')
    .addHelpText('after', VERIFY_HELP)
    .action(async (file: string, _options, command: Command) =>
      verify(file, command.optsWithGlobals<VerifyOptions>()),
    )
  evidence
    .command('list')
    .requiredOption('--dir <dir>', 'folder of the node')
    .description('list the evidence that a node keeps')
    .addHelpText('after', LIST_HELP)
    .action(async (_options, command: Command) => list(command.optsWithGlobals<ListOptions>()))
}

async function verify(file: string, options: VerifyOptions): Promise<void> {
  const bytes = await readInput(file, FILE_BYTES_MAX)
  const reference = await readReference(options)
  const evidence = inFile(file, () => evidenceIn(bytes))
  const contradiction = await verifyEvidence(opensslSuite, evidence).catch((error: unknown) => {
    const why = `The evidence in ${file} does not hold. ${errorMessage(error)}`
    throw new CliError('verification-failed', why, { step: errorCode(error) })
  })
  const accused = identify(evidence, contradiction, reference)
  const named = accused === undefined ? {} : { accused }
  if (options.json) printJson({ ok: true, ...contradictionJson(evidence, contradiction), ...named })
  else printText(verdictText(evidence, contradiction, accused))
}

/** Evidence by itself, an envelope, or what a node answers about an entry. */
function evidenceIn(bytes: Uint8Array): Evidence {
  const value = parseJson(bytes, FILE_BYTES_MAX)
  if (isObject(value) && value.payloadType !== undefined) return evidenceFromEntry(entryFromJson(value))
  if (isObject(value) && isObject(value.entry)) return evidenceFromEntry(entryFromJson(value.entry))
  return decodeEvidence(bytes)
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

interface Reference {
  readonly known: Known
  /** Each file given, and the origins of the ledgers that it is about. */
  readonly files: readonly { readonly path: string; readonly ledgers: readonly string[] }[]
}

async function readReference({ policy, genesis, updates }: VerifyOptions): Promise<Reference> {
  if (updates !== undefined && genesis === undefined)
    throw new CliError('usage', 'The changes of --updates begin at genesis: give --genesis, too.')
  const known: { -readonly [K in keyof Known]: Known[K] } = {}
  const files = []
  if (policy !== undefined) {
    const bytes = await readInput(policy, POLICY_BYTES_MAX)
    known.policy = inFile(policy, () => parsePolicy(textOfFile(bytes)))
    files.push({ path: policy, ledgers: known.policy.logs.map(({ key }) => key.name) })
  }
  if (genesis !== undefined) {
    const bytes = await readInput(genesis, BLOCK_BYTES_MAX)
    const founding = inFile(genesis, () => readGenesis(bytes))
    const memberships = updates === undefined ? [founding.membership] : await membersSince(founding, updates)
    known.validators = memberships.flatMap(({ validators }) => validators)
    files.push({ path: genesis, ledgers: [founding.parameters.ledger] })
  }
  return { known, files }
}

/** Of genesis, and after each change in the file. */
async function membersSince(genesis: Genesis, path: string): Promise<Membership[]> {
  const bytes = await readInput(path, POLICY_UPDATES_BYTES_MAX)
  const updates = inFile(path, () => decodePolicyUpdates(bytes))
  return followMemberships(opensslSuite, genesis, updates).catch((cause: unknown) => {
    const message = `The changes in ${path} do not hold. ${errorMessage(cause)}`
    throw new CliError('verification-failed', message, { step: errorCode(cause) }, { cause })
  })
}

/** The accused's name by the files given; none without files. Throws CliError if they do not know the key. */
function identify(
  evidence: Evidence,
  { ledger }: Contradiction,
  { known, files }: Reference,
): string | undefined {
  const failed = (step: string, why: string) => new CliError('verification-failed', why, { step })
  for (const { path, ledgers } of files) {
    if (!ledgers.includes(ledger)) {
      throw failed('wrong-origin', `The evidence is about the ledger ${ledger}; ${path} is of another one.`)
    }
  }
  const accused = accusedName(evidence, known)
  if (accused !== undefined || files.length === 0) return accused
  if (known.validators === undefined && evidence.kind !== 'two-cosignatures') {
    const why =
      'A policy knows only the keys that cosign, so it cannot say whose key this is: give --genesis.'
    throw failed('unknown-key', why)
  }
  const paths = files.map(({ path }) => path).join(' and ')
  const hint = known.validators && ' If keys have been replaced since, give the changes by --updates.'
  throw failed('unknown-key', `The accused key is none that ${paths} knows.${hint ?? ''}`)
}

function contradictionJson(evidence: Evidence, found: Contradiction): JsonObject {
  const { kind, ledger, keyid } = found
  const common = { kind, hash: evidenceHash(evidence), ledger, keyid, claimedName: claimedName(found) }
  return { ...common, ...sidesJson(found) }
}

function verdictText(evidence: Evidence, found: Contradiction, accused: string | undefined): string {
  const name = claimedName(found)
  const isNamed = name !== found.keyid
  const who = accused ?? `the holder of key ${found.keyid}`
  const facts = factSheet([
    ['Ledger', found.ledger],
    ['Accused', accused ?? `whoever holds the key (${isNamed ? `calls itself ${name}` : 'gives no name'})`],
    ['Key id', found.keyid],
    ['Evidence', evidenceHash(evidence)],
    ...sideFacts(found),
  ])
  const files = found.kind === 'two-cosignatures' ? '--genesis or --policy' : '--genesis'
  const open = [
    'which of the two is right, or why both were signed: a stolen key signs as well as its owner.',
    ...(accused === undefined
      ? [
          isNamed
            ? `that ${name} is a validator and the key is its own: give ${files}.`
            : `that the key is a validator's, and whose: give ${files}.`,
        ]
      : []),
  ]
  return [
    `CONTRADICTION PROVEN\n\n${facts}`,
    `It proves:\n  - ${who} signed both: ${sidesInWords(found)}`,
    `It does not prove:\n${open.map((line) => `  - ${line}`).join('\n')}`,
  ].join('\n\n')
}

async function list({ dir, json }: ListOptions): Promise<void> {
  await access(join(dir, FILES.config)).catch((cause: unknown) => {
    const why = isAbsent(cause) ? `it has no ${FILES.config}` : reasonOf(cause)
    throw new CliError('file', `${dir} is not the folder of a node: ${why}.`, { dir }, { cause })
  })
  const rows: string[][] = []
  for (const { path, evidence, accused } of await readEvidenceFolder(join(dir, FILES.evidence))) {
    const found = evidence && (await verifyEvidence(opensslSuite, evidence).catch(() => undefined))
    const facts = {
      kind: found?.kind ?? 'does not hold',
      accused: found ? (accused ?? claimedName(found)) : '-',
    }
    if (json) printJson({ path, ok: found !== undefined, ...facts })
    rows.push([facts.kind, facts.accused, path])
  }
  if (json) return
  printText(rows.length > 0 ? table(['KIND', 'ACCUSED', 'FILE'], rows) : `${dir} keeps no evidence.`)
}
