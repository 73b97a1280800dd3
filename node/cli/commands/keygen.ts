/** `qat keygen`: a private key that never leaves its file, and the public key that a ledger admits. */
import { open, unlink } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { keyId, publicKeyToJwk } from '../../../src/crypto/keys.ts'
import { ML_DSA, type MlDsaAlg } from '../../../src/crypto/suite.ts'
import { generateSeed, writeKeyFile } from '../../crypto/keyfile.ts'
import { opensslSuite } from '../../crypto/openssl.ts'
import { CliError } from '../exit.ts'
import { reasonOf } from '../files.ts'
import type { GlobalOptions } from '../options.ts'
import { factSheet, printJson, printText } from '../output.ts'

interface Options extends GlobalOptions {
  readonly out: string
  readonly public?: string
  readonly alg: MlDsaAlg
}

const EXAMPLES = `
Examples:
  qat keygen --out team.key --public team.jwk
  QAT_PASSPHRASE=... qat keygen --out team.key --alg ML-DSA-87

The key file is PKCS#8 PEM of mode 0600, and is never overwritten. It is encrypted if QAT_PASSPHRASE is set.
Hand the public key (a JWK) to the ledger's admins; keep the other file.
`

export function addKeygenCommand(program: Command): void {
  program
    .command('keygen')
    .description('make an ML-DSA signing key')
    .requiredOption('--out <file>', 'where the private key goes')
    .option('--public <file>', 'write the public key there as well, as a JWK')
    .addOption(new Option('--alg <name>', 'parameter set').choices(Object.keys(ML_DSA)).default('ML-DSA-65'))
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => keygen(command.optsWithGlobals<Options>()))
}

async function keygen({ out, alg, public: publicPath, json }: Options): Promise<void> {
  const passphrase = process.env.QAT_PASSPHRASE
  const seed = generateSeed()
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
    printJson({ file: out, encrypted, alg, keyid, jwk, ...(publicPath && { publicFile: publicPath }) })
  } else {
    const facts = factSheet([
      ['Private key', `${out} (mode 0600, ${encrypted ? 'encrypted' : 'not encrypted'})`],
      ['Public key', publicPath],
      ['Algorithm', alg],
      ['Key id', keyid],
    ])
    printText(publicPath === undefined ? `${facts}\n\n${JSON.stringify(jwk)}` : facts)
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
