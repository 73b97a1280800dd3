/** The whole command line as one commander program; `main.ts` runs it. */
import { Command } from 'commander'
import { VERSION } from '../version.ts'
import { addBackupCommand } from './commands/backup.ts'
import { addDevnetCommand } from './commands/devnet.ts'
import { addEvidenceCommand } from './commands/evidence.ts'
import { addFsckCommand } from './commands/fsck.ts'
import { addGetCommand } from './commands/get.ts'
import { addInitCommand } from './commands/init.ts'
import { addJoinCommand } from './commands/join.ts'
import { addKeygenCommand } from './commands/keygen.ts'
import { addKmeCommand } from './commands/kme.ts'
import { addLogCommand } from './commands/log.ts'
import { addMemberCommand } from './commands/member.ts'
import { addPolicyCommand } from './commands/policy.ts'
import { addProveCommand } from './commands/prove.ts'
import { addQkdCommand } from './commands/qkd.ts'
import { addQueryCommand } from './commands/query.ts'
import { addRestoreCommand } from './commands/restore.ts'
import { addRotateCommand } from './commands/rotate.ts'
import { addStartCommand } from './commands/start.ts'
import { addStatusCommand } from './commands/status.ts'
import { addVerifyCommand } from './commands/verify.ts'
import { addWatchCommand } from './commands/watch.ts'
import { EXIT_HELP } from './exit.ts'

const ABOUT = `
Quantum Audit Trail: an audit ledger run by several teams, with proofs that anyone can check offline.

Try it on one machine:
  qat devnet --dir .devnet                    runs a ledger of four nodes, and prints a token
  qat log --token <token> --source //demo --type demo.hello --subject world --data '{"hello":"world"}'
  qat query
  qat prove <id> --out evidence
  qat verify evidence --policy .devnet/policy

Environment: QAT_RPC and QAT_TOKEN stand in for --rpc and --token; QAT_PASSPHRASE protects and opens private
keys, as does the passphrase in the file that QAT_PASSPHRASE_FILE names; QAT_DEBUG=1 adds stack traces to errors.
Nodes on other machines are asked through the proxies that HTTPS_PROXY and HTTP_PROXY name, unless NO_PROXY lists
them (from Node 24.14 on).
`

export function createProgram(): Command {
  const program = new Command('qat')
  program
    .version(VERSION)
    .option('--json', 'print one line of JSON for each result, also for errors')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', ABOUT + EXIT_HELP)
    .helpCommand(false)
    .exitOverride()
    // Errors are printed in one place, as one sentence or one line of JSON.
    .configureOutput({ outputError: () => undefined })
  program.commandsGroup('Record and read:')
  addLogCommand(program)
  addGetCommand(program)
  addQueryCommand(program)
  addWatchCommand(program)
  program.commandsGroup('Prove and verify:')
  addProveCommand(program)
  addVerifyCommand(program)
  addEvidenceCommand(program)
  addPolicyCommand(program)
  program.commandsGroup('Run a ledger:')
  addKeygenCommand(program)
  addInitCommand(program)
  addStartCommand(program)
  addDevnetCommand(program)
  addStatusCommand(program)
  addQkdCommand(program)
  addKmeCommand(program)
  program.commandsGroup('Keep a ledger:')
  addBackupCommand(program)
  addRestoreCommand(program)
  addFsckCommand(program)
  program.commandsGroup('Change a ledger:')
  addJoinCommand(program)
  addMemberCommand(program)
  addRotateCommand(program)
  return program
}
