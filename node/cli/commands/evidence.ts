/** `qat evidence`: what a node holds against validators, and whether it convicts. Needs no node and no network. */
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
import { readGenesis } from '../../../src/ledger/genesis.ts'
import { BLOCK_BYTES_MAX, POLICY_BYTES_MAX } from '../../../src/limits.ts'
import { parsePolicy } from '../../../src/notes/policy.ts'
import { textOfFile } from '../../../src/notes/text-file.ts'
import { opensslSuite } from '../../crypto/openssl.ts'
import { readEvidenceFolder } from '../../evidence-folder.ts'
import { FILES } from '../../folder.ts'
import { sideFacts, sidesInWords, sidesJson } from '../contradiction-text.ts'
import { CliError } from '../exit.ts'
import { inFile, readInput } from '../files.ts'
import type { GlobalOptions } from '../options.ts'
import { factSheet, printJson, printText, table } from '../output.ts'

interface VerifyOptions extends GlobalOptions {
  readonly policy?: string
  readonly genesis?: string
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
  qat get --json 1042 | qat evidence verify - --policy policy

FILE is evidence as a node wrote it, or an entry that holds some: what "qat get --json" prints, or the
entry.dsse.json of a proof. The contradiction stands by itself; --policy and --genesis say whose key it is. A
policy knows the keys that cosign, genesis also those that seal, vote and acknowledge; a key that they do not know
is refused.
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
    .option('--genesis <file>', "the ledger's genesis.block: names all keys of validators")
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

async function readReference({ policy, genesis }: VerifyOptions): Promise<Reference> {
  const known: { -readonly [K in keyof Known]: Known[K] } = {}
  const files = []
  if (policy !== undefined) {
    const bytes = await readInput(policy, POLICY_BYTES_MAX)
    known.policy = inFile(policy, () => parsePolicy(textOfFile(bytes)))
    files.push({ path: policy, ledgers: known.policy.logs.map(({ key }) => key.name) })
  }
  if (genesis !== undefined) {
    const bytes = await readInput(genesis, BLOCK_BYTES_MAX)
    const { membership, parameters } = inFile(genesis, () => readGenesis(bytes))
    known.validators = membership.validators
    files.push({ path: genesis, ledgers: [parameters.ledger] })
  }
  return { known, files }
}

/** The accused's name by the files given. A policy alone knows no node keys, and then there is no name. */
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
  const knowable = evidence.kind === 'two-cosignatures' ? files.length > 0 : known.validators !== undefined
  if (accused !== undefined || !knowable) return accused
  const paths = files.map(({ path }) => path).join(' and ')
  throw failed('unknown-key', `The accused key is none that ${paths} knows, so it convicts no validator.`)
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
  const rows: string[][] = []
  for (const { path, evidence } of await readEvidenceFolder(join(dir, FILES.evidence))) {
    const found = evidence && (await verifyEvidence(opensslSuite, evidence).catch(() => undefined))
    const facts = { kind: found?.kind ?? 'does not hold', accused: found ? claimedName(found) : '-' }
    if (json) printJson({ path, ok: found !== undefined, ...facts })
    rows.push([facts.kind, facts.accused, path])
  }
  if (json) return
  printText(rows.length > 0 ? table(['KIND', 'ACCUSED', 'FILE'], rows) : `${dir} keeps no evidence.`)
}
