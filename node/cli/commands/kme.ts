/** `qat kme`: a simulated key management entity as a process of its own. */
import { type Command, Option } from 'commander'
import type { GlobalOptions } from '../options.ts'
import { printJson, printText } from '../output.ts'
import { stopRequest } from '../stop-request.ts'

interface Options extends GlobalOptions {
  readonly config: string
  readonly logLevel: string
}

const EXAMPLES = `
Examples:
  qat kme --config ledger/alpha/qkd/kme.json

It speaks ETSI GS QKD 014 over HTTPS with client certificates, as a device does, and makes its keys by a simulation of
decoy-state BB84. A node that has one inside ("kme" in its node.json) must not run beside a second one from the same
file. Where "admin" stands in the file, fibres can be cut and listened to there; the token is in STORE/admin.token.
`

export function addKmeCommand(program: Command): void {
  program
    .command('kme')
    .description('run a simulated QKD key management entity')
    .requiredOption('--config <file>', 'its kme.json, as "qat init" makes them')
    .addOption(new Option('--log-level <level>', 'least important lines to log').default('info'))
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => kme(command.optsWithGlobals<Options>()))
}

async function kme({ config: path, logLevel, json }: Options): Promise<void> {
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
