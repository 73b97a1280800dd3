/** `qat keygen`: a private key that never leaves its file, and the public key that a ledger admits. */
import { open, unlink } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { keyId, publicKeyToJwk } from '../../../src/crypto/keys.ts'
import { ML_DSA, type MlDsaAlg, SEED_BYTES } from '../../../src/crypto/suite.ts'
import { generateSeed, writeKeyFile } from '../../crypto/keyfile.ts'
import { opensslSuite } from '../../crypto/openssl.ts'
import { mixedSeed } from '../../qkd/mixed-seed.ts'
import { CliError } from '../exit.ts'
import { reasonOf } from '../files.ts'
import type { GlobalOptions } from '../options.ts'
import { factSheet, printJson, printText } from '../output.ts'
import { encryptOption, newPassphrase } from '../passphrase.ts'

interface Options extends GlobalOptions {
  readonly out: string
  readonly public?: string
  readonly alg: MlDsaAlg
  readonly encrypt?: true
  readonly qkd?: true
  readonly dir?: string
  readonly qkdPeer?: string
}

const EXAMPLES = `
Examples:
  qat keygen --out team.key --public team.jwk
  QAT_PASSPHRASE=... qat keygen --out team.key --alg ML-DSA-87
  qat keygen --out team.key --qkd --dir ledger/alpha

The key file is PKCS#8 PEM of mode 0600, and is never overwritten. It is encrypted if QAT_PASSPHRASE
or QAT_PASSPHRASE_FILE is set, or with --encrypt.
Hand the public key (a JWK) to the ledger's admins; keep the other file.

With --qkd the seed is made of local randomness and of a QKD key from the KME that the node folder names, by HKDF, so
that neither alone decides it. The peer's KME drops its copy of that key, which nobody asks for, after a minute.
`

export function addKeygenCommand(program: Command): void {
  program
    .command('keygen')
    .description('make an ML-DSA signing key')
    .requiredOption('--out <file>', 'where the private key goes')
    .option('--public <file>', 'write the public key there as well, as a JWK')
    .addOption(new Option('--alg <name>', 'parameter set').choices(Object.keys(ML_DSA)).default('ML-DSA-65'))
    .addOption(encryptOption())
    .option('--qkd', 'mix a QKD key with local randomness')
    .option('--dir <dir>', 'with --qkd: folder of a running node, whose KME is asked')
    .option('--qkd-peer <sae>', 'with --qkd: whose KME makes the key with ours; another node of the ledger')
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => keygen(command.optsWithGlobals<Options>()))
}

async function keygen({ out, alg, public: publicPath, json, ...options }: Options): Promise<void> {
  const passphrase = await newPassphrase(options.encrypt)
  const seed = options.qkd ? await seedWithQkd(options) : generateSeed()
  const { publicKey } = opensslSuite.signer(alg, seed)
  const jwk = publicKeyToJwk(publicKey)
  // First the file that can be taken back: a private key is not deleted again.
  if (publicPath !== undefined) await writePublic(publicPath, `${JSON.stringify(jwk)}\n`)
  try {
    await writeKeyFile(out, alg, seed, passphrase)
  } catch (error) {
    if (publicPath !== undefined) await unlink(publicPath)
    throw error
  } finally {
    seed.fill(0)
  }
  const encrypted = passphrase !== undefined
  const keyid = keyId(publicKey)
  if (json) {
    const mixed = options.qkd && { qkd: true }
    printJson({
      file: out,
      encrypted,
      alg,
      keyid,
      jwk,
      ...mixed,
      ...(publicPath && { publicFile: publicPath }),
    })
  } else {
    const facts = factSheet([
      ['Private key', `${out} (mode 0600, ${encrypted ? 'encrypted' : 'not encrypted'})`],
      ['Public key', publicPath],
      ['Algorithm', alg],
      ['Seed', options.qkd && 'of local randomness and a QKD key'],
      ['Key id', keyid],
    ])
    printText(publicPath === undefined ? `${facts}\n\n${JSON.stringify(jwk)}` : facts)
  }
}

/** Throws CliError or QkdError; nothing was made then. */
async function seedWithQkd({ dir, qkdPeer }: Pick<Options, 'dir' | 'qkdPeer'>): Promise<Uint8Array> {
  if (dir === undefined)
    throw new CliError('usage', 'Give --dir, the folder of a node whose KME is to be asked.')
  const [{ readNodeFolder }, { readCredentials }, { createClient014 }, { systemClock }] = await Promise.all([
    import('../../folder.ts'),
    import('../../qkd/config.ts'),
    import('../../qkd/client-014.ts'),
    import('../../clock.ts'),
  ])
  const { config, genesis } = await readNodeFolder(dir)
  if (!config.qkd) throw new CliError('usage', `The node in ${dir} has no KME. Make the key without --qkd.`)
  const peer = qkdPeer ?? [...genesis.membership.nodeByName.keys()].find((name) => name !== config.name)
  if (peer === undefined) throw new CliError('usage', 'Give --qkd-peer: the ledger began with one node.')
  const credentials = await readCredentials(dir, config.qkd)
  const client = createClient014({ ...credentials, clock: systemClock, random: Math.random })
  try {
    const { bytes } = await client.getKey(peer, 8 * SEED_BYTES)
    return mixedSeed(bytes, generateSeed())
  } finally {
    client.close()
  }
}

async function writePublic(path: string, text: string): Promise<void> {
  try {
    const file = await open(path, 'wx', 0o644)
    await file.writeFile(text).finally(() => file.close())
  } catch (cause) {
    const taken = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST'
    const why = taken ? 'it exists already' : reasonOf(cause)
    throw new CliError('file', `${path} could not be written: ${why}.`, { path }, { cause })
  }
}
