/**
 * `npm run chaos`: real processes on real disks, under load, killed, stopped and cut off at random; then
 * all that was acknowledged is proved. Exit code 1 if a promise was broken, 2 for a wrong command line.
 */
import { HELP, type Options, readOptions } from './chaos/options.ts'
import { canIsolate, isInside, rerunInside } from './chaos/private-network.ts'
import { type Result, run } from './chaos/run.ts'
import { main } from './support/command-line.ts'
import { carryOut, type Report } from './support/trial.ts'

await main(HELP, readOptions, async (options) => {
  process.exit(await storm(options))
})

async function storm(options: Options): Promise<number> {
  if (options.partitions && !isInside()) {
    if (await canIsolate()) return rerunInside()
    process.stderr.write(
      'No network namespaces here (they take root): processes are struck, links are not.\n',
    )
  }
  const isolated = options.partitions && isInside()
  return carryOut({ name: 'chaos', run: (given) => run({ ...given, isolated }), report }, options)
}

function report(result: Result, { seconds, seed, ...asked }: Options): Report {
  const { submitted, acknowledged, final, proved, kills, stops, partitions, recoveries } = result
  const { longestUnavailableMs, longestUnavailableAt } = result
  return {
    table: [
      ['submitted', submitted],
      ['acknowledged', `${acknowledged}, ${final} of them as final`],
      ['without an answer', submitted - acknowledged],
      ['proved by another node', proved],
      ['lost', result.lost],
      ['duplicated', result.duplicated],
      ['proofs that do not hold', result.unproved],
      [
        'faults',
        `${kills} kills, ${stops} stops, ${partitions} partitions${asked.kills > kills ? ` (${asked.kills} kills were asked for; the time was too short)` : ''}`,
      ],
      ['recoveries', recoveries],
      ['nodes that ended by themselves', result.crashes],
      ['longest without service', `${longestUnavailableMs} ms, until ${longestUnavailableAt} s`],
      ['leaves on every node', result.treeSize],
    ],
    verdict: 'Every promise was kept.',
    json: {
      submitted,
      final,
      lost: result.lost,
      duplicated: result.duplicated,
      longestUnavailableMs,
      recoveries,
      seconds,
      kills,
      stops,
      partitions,
      seed,
      acknowledged,
      proved,
      unproved: result.unproved,
      crashes: result.crashes,
    },
  }
}
