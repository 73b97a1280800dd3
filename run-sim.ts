import { simulate } from './test/consensus/sim/simulation.ts'
const [start, count, liars, verbose] = process.argv.slice(2)
const began = performance.now()
let bad = 0
let worst = 0
const kinds: Record<string, number[]> = {}
const faults: Record<string, number> = {}
for (let seed = Number(start); seed < Number(start) + Number(count); seed++) {
  const o = await simulate(seed, { liars: liars === '1' })
  worst = Math.max(worst, o.recovery)
  for (const [n, c] of Object.entries(o.faults)) faults[n] = (faults[n] ?? 0) + c
  if (o.violation) {
    bad++
    const m = o.violation.message.split('\n')[0]!.replace(/[0-9]+/g, 'N').replace(/\b[a-g]\b/g, 'X').slice(0, 110)
    ;(kinds[m] ??= []).push(seed)
    if (verbose) console.log(o.violation.trace.join('\n'))
    if (verbose || kinds[m]!.length === 1) console.log(seed, o.violation.message.split('\n').slice(0, verbose ? 20 : 6).join('\n'))
  }
}
console.log(kinds)
console.log(faults)
console.log({ bad, count, worst, perSecond: (Number(count) / (performance.now() - began)) * 1000 })
