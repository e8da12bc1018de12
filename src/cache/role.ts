/**
 * Role of a requester, which decides on the sources of an absent chunk. For a `guest` the chunk's
 * home is asked. For a peer that asks this node as `home`, this node's own source is asked, so that
 * no home ever waits for another. For a peer that asks for `held` chunks no source is asked.
 */
export type Role = 'guest' | 'home' | 'held';
