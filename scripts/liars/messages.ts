/** What the run and the hostile process say to each other, over the channel between them. */

export type FromHostile =
  | { readonly kind: 'ready' }
  /** An act was carried out. */
  | { readonly kind: 'told'; readonly act: string }
  /** It could not be, as when the liar was not elected. */
  | { readonly kind: 'failed'; readonly act: string; readonly why: string }
  /** The process of this node is to pause, as any machine may: then another leader is elected. */
  | { readonly kind: 'pause'; readonly node: string }
  | { readonly kind: 'resume'; readonly node: string }
  /** The process of this node is to die, and to be started again. */
  | { readonly kind: 'restart'; readonly node: string }

/** `done`: what was asked for is so. `end`: no further act. */
export interface ToHostile {
  readonly kind: 'done' | 'end'
}
