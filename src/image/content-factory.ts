/**
 * Builds the parts of a content: its origin, which is a slot or a decoder over its container, and
 * the content itself.
 *
 * Invariant: a decoder reads its container and its backing files only through contents of this
 * node, which the caller holds leased (`below`) for as long as the decoder lives.
 */
import { Budget } from '../base/budget.js';
import type { Logger } from '../base/log.js';
import { MiB } from '../base/size.js';
import { BufferPools } from '../cache/buffer-pool.js';
import type { CacheSpace } from '../cache/evict/cache-space.js';
import type { ShareRule } from '../catalog/cluster-id.js';
import { type ContentSpec, containerSpec } from '../catalog/image-record.js';
import type { Manifest } from '../manifest/manifest.js';
import { openFormatOrigin } from '../origin/format/format-origin.js';
import type { FormatContainer, FormatLayer } from '../origin/format/layer.js';
import { openOrigin } from '../origin/open.js';
import type { Origin, OriginCredential } from '../origin/origin.js';
import { CachedOrigin } from './cached-origin.js';
import { Content, type ContentCluster, demandRequests, prefetchRequests, type Releasable, reentryBytes } from './content.js';
import { type OriginRule, OriginSlot } from './origin-slot.js';
import { privateExport } from './private-export.js';

export interface ContentFactoryOptions {
  cacheDir: string;
  runDir: string;
  space: CacheSpace;
  /**
   * Memory for fetches of raw contents, and of decoded ones. They are apart, because a fetch of a
   * decoded content waits for fetches of its container.
   */
  memory: { raw: Budget; decoded: Budget };
  readaheadBytes: number;
  /** Returns the place of a raw content in the cluster; `undefined` if it is not shared. */
  clusterOf(spec: ContentSpec, share: ShareRule['share']): ContentCluster | undefined;
  credentials: OriginCredential[];
  log: Logger;
}

/** Terms under which a content and all below it are opened. */
export interface LeaseTerms {
  share?: ShareRule['share'];
  rule?: OriginRule | undefined;
}

/**
 * Holds a content open. Releasing it closes the content if this was the last user; a second release
 * does nothing.
 */
export interface ContentLease extends Releasable {
  readonly content: Content;
}

/** Leases a content of this node. */
type Lease = (spec: ContentSpec, terms: LeaseTerms) => Promise<ContentLease>;

/** Bound on unused chunk buffers that are kept. */
const keptBufferBytes = 16 * MiB;

export class ContentFactory {
  readonly #options: ContentFactoryOptions;
  readonly #lease: Lease;
  readonly #buffers = new BufferPools(keptBufferBytes);
  readonly #reentryMemory = new Budget(reentryBytes);

  constructor(options: ContentFactoryOptions, lease: Lease) {
    this.#options = options;
    this.#lease = lease;
  }

  /** Leases the container of a content for the format room. Adds the lease to `below`. */
  async container(spec: ContentSpec, below: ContentLease[], terms: LeaseTerms): Promise<FormatContainer> {
    const lease = await this.#lease(containerSpec(spec), terms);
    below.push(lease);
    const { content } = lease;
    return { origin: new CachedOrigin(content), privateExport: privateExport(content.device, this.#options.runDir) };
  }

  /**
   * Leases a file and its chain of backing files for the format room. Adds all leases to `below`.
   */
  async layer(spec: ContentSpec, below: ContentLease[], terms: LeaseTerms): Promise<FormatLayer> {
    const backing: Record<string, FormatLayer> = {};
    for (const [name, backingSpec] of Object.entries(spec.backing ?? {})) backing[name] = await this.layer(backingSpec, below, terms);
    return { container: await this.container(spec, below, terms), format: spec.format, backing };
  }

  /** Makes a slot for the origin of a raw content. It opens the origin if the rule allows. */
  slot(spec: ContentSpec, rule: OriginRule): OriginSlot {
    const { url, identity } = spec;
    const slot = new OriginSlot({ url, identity, open: (access) => this.#openOrigin(spec, access === 'own') });
    slot.allow(rule(spec));
    return slot;
  }

  /**
   * Opens a decoder as the origin of a foreign content. Adds the leases that it stands on to
   * `below`.
   */
  async decoder(spec: ContentSpec, below: ContentLease[], terms: LeaseTerms): Promise<Origin> {
    const { runDir, log } = this.#options;
    return openFormatOrigin({ ...(await this.layer(spec, below, terms)), sizeBytes: spec.sizeBytes, runDir, log });
  }

  /** Makes a content of its parts. They are the content's from here on. */
  content(
    spec: ContentSpec,
    parts: { origin: Origin; manifest: Manifest | undefined; share: ShareRule['share']; below: ContentLease[] },
  ): Content {
    const { cacheDir, space, memory, readaheadBytes, log, clusterOf } = this.#options;
    const { origin, manifest, share, below } = parts;
    return new Content({
      spec,
      origin,
      hasOrigin: origin instanceof OriginSlot ? () => origin.access !== 'none' : undefined,
      manifest,
      cluster: spec.format === 'raw' ? clusterOf(spec, share) : undefined,
      cacheDir,
      space,
      memory: spec.format === 'raw' ? memory.raw : memory.decoded,
      reentryMemory: this.#reentryMemory,
      buffers: this.#buffers,
      readaheadBytes,
      log,
      below,
    });
  }

  #openOrigin(spec: ContentSpec, withCredentials: boolean): Origin {
    const { credentials, log } = this.#options;
    return openOrigin(spec.url, spec.identity, {
      credentials: withCredentials ? credentials : [],
      sealed: spec.manifest !== undefined,
      log,
      demandConnections: demandRequests,
      prefetchConnections: prefetchRequests,
    });
  }
}
