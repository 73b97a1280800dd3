/**
 * `npm run liars`: a real cluster under load in which one process holds a validator's keys and lies in every way that is
 * known; then all that honest nodes promised is proved. Exit code 1 if it was not kept, 2 for a wrong command line.
 */
import { ACTS } from './liars/acts/all.ts'
import { HELP, type Options, readOptions } from './liars/options.ts'
import { type Result, run } from './liars/run.ts'
import { main } from './support/command-line.ts'
import { carryOut, type Report } from './support/trial.ts'

await main(HELP, readOptions, async (options) => {
  process.exit(await carryOut({ name: 'liars', run, report }, options))
})

function percent(part: number, whole: number): string {
  return `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`
}

/** How many of the kinds of acts that were to be told; and those that were not, for which the time was too short. */
function actsTold(byAct: Result['byAct'], { acts, qkd }: Options): [string, string][] {
  const wanted = ACTS.filter((act) => (acts.length === 0 || acts.includes(act.name)) && (qkd || !act.qkd))
  const untold = wanted.map(({ name }) => name).filter((name) => !(name in byAct))
  const total = Object.values(byAct).reduce((sum, times) => sum + times, 0)
  return [
    ['acts told', `${total}, of ${Object.keys(byAct).length} kinds out of ${wanted.length}`],
    ...(untold.length > 0 ? [['not told', untold.join(', ')] as [string, string]] : []),
  ]
}

function report(result: Result, options: Options): Report {
  const { faults: _, named, liar, byAct, failed, ...counts } = result
  const { acts, ...rest } = counts
  return {
    table: [
      ...actsTold(byAct, options),
      ['submitted', counts.submitted],
      ['final', counts.final],
      ['proved by another node', counts.proved],
      ['lost', counts.lost],
      ['refused', counts.refused],
      ['taken and never final', counts.neverFinal],
      ['unanswered', `${counts.unanswered} (${percent(counts.unanswered, counts.submitted)})`],
      ['heights with different blocks', counts.splits],
      ['honest processes that ended', counts.ended],
      ['honest nodes accused', counts.framed],
      ["honest links cut as a liar's", counts.blamed],
      ['accused', named.join(', ') || 'nobody'],
      ['longest without service', `${counts.longestUnavailableMs} ms`],
      ['longest wait for a final entry', `${counts.longestWaitMs} ms`],
      ['most memory of a node', `${counts.rssMaxMiB} MiB`],
      ['longest log of a node', `${counts.logMaxKiB} KiB`],
    ],
    verdict: `Every promise was kept; ${liar} lied.`,
    json: { acts, byAct, failed, ...rest, named, liar, seconds: options.seconds, seed: options.seed },
  }
}
