/**
 * Place that bytes come from. `cache`: this host; `peer`: another node's cache; `origin`: the
 * image's source.
 */
export type Place = 'cache' | 'peer' | 'origin';
