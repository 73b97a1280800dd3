/** `qat kme`: a simulated key management entity as a process of its own. */
import { type Command, Option } from 'commander'
import { formatInstant } from '../../../src/json.ts'
import { CliError } from '../exit.ts'
import type { GlobalOptions } from '../options.ts'
import { printJson, printText } from '../output.ts'
import { stopRequest } from '../stop-request.ts'

interface Options extends GlobalOptions {
  readonly config?: string
  readonly logLevel: string
}

interface RenewOptions extends GlobalOptions {
  readonly authority: string
}

const EXAMPLES = `
Examples:
  qat kme --config ledger/alpha/qkd/kme.json

It speaks ETSI GS QKD 014 over HTTPS with client certificates, as a device does, and makes its keys by a simulation of
decoy-state BB84. A node that has one inside ("kme" in its node.json) must not run beside a second one from the same
file. Where "admin" stands in the file, fibres can be cut and listened to there; the token is in STORE/admin.token.
`

const RENEW_EXAMPLES = `
Examples:
  qat kme renew ledger/alpha/qkd --authority ledger

Makes new keys and certificates under the names of the old ones, for 825 days, and puts them in their place. A node or
KME that uses them takes them within a minute, without a restart. DIR is the folder "qkd" of a node; --authority is
where "qat init" has put qkd-ca.pem and qkd-ca.key, which last ten years. The log warns once a day from 30 days before
a certificate ends, and the metric qat_qkd_certificate_end_timestamp_seconds of a node tells when that is.
`

export function addKmeCommand(program: Command): void {
  const command = program
    .command('kme')
    .description('run a simulated QKD key management entity')
    .option('--config <file>', 'its kme.json, as "qat init" makes them')
    .addOption(new Option('--log-level <level>', 'least important lines to log').default('info'))
    .addHelpText('after', EXAMPLES)
    .action(async (_options, self: Command) => kme(self.optsWithGlobals<Options>()))
  command
    .command('renew')
    .argument('<dir>', 'folder with the certificates')
    .description('renew the certificates of a KME and its application')
    .requiredOption('--authority <dir>', 'folder with qkd-ca.pem and qkd-ca.key')
    .addHelpText('after', RENEW_EXAMPLES)
    .action(async (dir: string, _options, self: Command) => renew(dir, self.optsWithGlobals<RenewOptions>()))
}

async function renew(dir: string, { authority, json }: RenewOptions): Promise<void> {
  const { renewCertificates } = await import('../../kme/renew.ts') // large, and of no use to the others
  for (const { cert, endsAt } of await renewCertificates(dir, authority, Date.now())) {
    const ends = formatInstant(endsAt)
    if (json) printJson({ cert, ends })
    else printText(`${cert} is good until ${ends}.`)
  }
}

async function kme({ config: path, logLevel, json }: Options): Promise<void> {
  if (path === undefined) throw new CliError('usage', '--config is needed: the kme.json of the KME.')
  const stopped = stopRequest()
  const [{ readKmeConfig }, { startKme }, { systemClock }, { createLogger }] = await Promise.all([
    import('../../kme/config.ts'),
    import('../../kme/kme.ts'),
    import('../../clock.ts'),
    import('../../logger.ts'),
  ])
  const config = await readKmeConfig(path)
  const running = await startKme({ config, clock: systemClock, logger: createLogger(config.id, logLevel) })
  const api = `https://${config.api.host}:${running.apiPort}`
  if (json)
    printJson({ event: 'ready', id: config.id, api, admin: running.adminPort ?? null, pid: process.pid })
  else printText(`${config.id} answers at ${api}, simulated. Ctrl-C stops it.`)
  await stopped
  await running.stop()
}
