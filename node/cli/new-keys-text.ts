/** What is to be done for a node whose store may have forgotten what it has signed. */
import { commandsFor } from '../new-keys.ts'

export function newKeysText(dir: string): string {
  const { here, elsewhere } = commandsFor(dir)
  return `The node may have forgotten what it has signed, so its keys must not sign any more. New ones wait in its folder.
Next:
  1. Start it, to follow:            qat start --dir ${dir}
  2. With an admin's key:            ${here}
     or on the admin's machine, with a copy of that file:
                                     ${elsewhere}
The node takes part again, under the new keys, as soon as that change is final.`
}
