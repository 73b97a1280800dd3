import { equal } from 'node:assert/strict'
import { Standings } from '../../consensus/standings.ts'

/** Ticks for which `b` is shunned after the last of some terms, all of them over at tick 1000. */
function shunned(after: (standings: Standings) => void, leaderless = 0): number {
  const standings = new Standings(10)
  after(standings)
  let ticks = 0
  while (standings.isShunned('b', 1000 + ticks, leaderless)) ticks++
  return ticks
}

const stood = (standings: Standings) => {
  standings.heeded('b', 990)
  standings.ended(false, 1000)
}
const led = (standings: Standings, ticks = 50, well = false) => {
  standings.elected('b', 1000 - ticks)
  standings.ended(well, 1000)
}
const times = (count: number, term: (standings: Standings) => void) => (standings: Standings) => {
  for (let i = 0; i < count; i++) term(standings)
}

describe('standings', () => {
  it('shun who stands in vain, from the second time on, for a time that doubles up to a bound', () => {
    const each = [1, 2, 3, 4, 5, 50].map((count) => shunned(times(count, stood)))
    equal(each.join(), '0,20,40,80,80,80')
  })

  it('shun who leads in vain from the first time on, up to a bound', () => {
    const each = [1, 2, 3, 8, 9, 50].map((count) => shunned(times(count, led)))
    equal(each.join(), '20,40,80,2560,2560,2560')
  })

  it('count a short leadership as one in vain, and forget all for a long good one', () => {
    equal(
      shunned((all) => led(all, 299, true)),
      20,
    )
    equal(
      shunned((all) => {
        times(5, led)(all)
        led(all, 300, true)
        stood(all)
      }),
      0,
    )
    equal(
      shunned((all) => led(all, 300, false)),
      20,
    )
  })

  it('count a term once, by who leads it if anyone does', () => {
    equal(
      shunned((all) => {
        all.heeded('c', 890)
        all.elected('b', 900)
        all.ended(false, 1000)
        all.ended(false, 1000)
      }),
      20,
    )
  })

  it('shun nobody for long when there is no leader at all', () => {
    equal(shunned(times(9, led), 159), 2560)
    equal(shunned(times(9, led), 160), 0)
  })

  it('give a candidacy that is heeded half an election timeout before another is', () => {
    const standings = new Standings(10)
    standings.heeded('b', 100)
    equal(standings.isBusyWithAnother('b', 101), false)
    equal(standings.isBusyWithAnother('c', 104), true)
    equal(standings.isBusyWithAnother('c', 105), false)
    standings.elected('b', 101)
    equal(standings.isBusyWithAnother('c', 102), false)
  })
})
