import { simulate } from '../test/sim/simulation.ts'

const [start, n] = process.argv.slice(2).map(Number)
let bad = 0
const t0 = performance.now()
for (let s = start!; s < start! + n!; s++) {
  const o = await simulate(s, { liars: 0 })
  if (o.violation) {
    bad++
    if (n === 1) console.log(o.violation.diagram)
    console.log(s, o.violation.message)
  } else if (n! < 20) console.log(JSON.stringify(o))
}
console.log('bad', bad, 'ms/seed', (performance.now() - t0) / n!, 'cpu', process.cpuUsage().user / 1000 / n!)
