/** Keys that no quantum link has made. */
import type { Act } from './act.ts'

export const madeUpKeys: Act = {
  name: 'made-up-keys',
  says: 'It closes its links and opens new ones with ids of QKD keys that it has made up.',
  qkd: true,
  async run(member) {
    member.madeUpKeys = true
    try {
      for (let i = 0; i < 3; i++) {
        member.hangUp()
        await member.pause(1_200)
      }
    } finally {
      member.madeUpKeys = false
      member.hangUp()
    }
  },
}
