/**
 * Chooses the content that a disk's base is on this node, and the origins that may be opened for
 * it.
 */
import type { DiskOrigins } from '../catalog/disk-origin.js';
import { type ContentSpec, contentsUnder } from '../catalog/image-record.js';
import { isAllowedOrigin, originPrefixFor } from '../config/origin-prefix.js';
import type { ContentPool } from './content-pool.js';
import { type OriginRule, ownOrigin } from './origin-slot.js';

export class BaseOrigins {
  readonly #origins: DiskOrigins;
  readonly #allowed: readonly string[];

  /** @param allowed URL prefixes that the configuration allows */
  constructor(origins: DiskOrigins, allowed: readonly string[]) {
    this.#origins = origins;
    this.#allowed = allowed;
  }

  /** @param spec content as the disk's record names it; any node may have written the record */
  choose(spec: ContentSpec): { spec: ContentSpec; rule: OriginRule } {
    const own = this.#origins.origin(spec);
    if (own !== undefined) return { spec: own, rule: ownOrigin };
    return { spec, rule: ({ url }) => (isAllowedOrigin(url, this.#allowed) ? 'allowed' : 'none') };
  }

  /**
   * Text for people once no node could give chunks of the content; `undefined` while none was
   * missed.
   */
  trouble(pool: ContentPool, spec: ContentSpec): string | undefined {
    const missed = contentsUnder(spec).flatMap((content) => {
      const { origin } = pool.find(content) ?? {};
      return origin !== undefined && origin.missCount > 0 ? [origin] : [];
    });
    if (missed.length === 0) return undefined;
    const urls = contentsUnder(spec).filter(({ format }) => format === 'raw');
    const prefixes = [...new Set(urls.flatMap(({ url }) => originPrefixFor(url) ?? []))];
    const remedy =
      prefixes.length === 0
        ? 'add the image here (copse image add)'
        : `add the image here (copse image add), or write allow_origins = ${JSON.stringify(prefixes)} into [disk] of the configuration and start the daemon again`;
    return `chunks of its image could be had from no node, and only another node named the origin ${missed[0]?.url}: reads of them fail; to let this node open it, ${remedy}`;
  }
}
