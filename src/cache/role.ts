/**
 * Who asks, which decides who may be asked for what is absent: for a `guest` the chunk's home; for a peer that asks this node as `home` its own source, so that no home
 * ever waits for another; for one that asks what is `held` nobody.
 */
export type Role = 'guest' | 'home' | 'held';
