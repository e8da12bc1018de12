/**
 * All contents of the node: each open once however many names, backing chains and connections use it, closed with its last user.
 *
 * Content that no name stands for any more (after a repin) stays on the disk until it is evicted, before anything else is: an orphan, known to the cache's
 * space but readable by nobody. Opened again it becomes a content again.
 */
import { readdirSync } from 'node:fs';
import type { Budget } from '../base/budget.js';
import { systemClock } from '../base/clock.js';
import { errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { MiB } from '../base/size.js';
import { Slice } from '../base/slice.js';
import { BufferPools } from '../cache/buffer-pool.js';
import type { CacheSpace } from '../cache/evict/cache-space.js';
import { ChunkStore } from '../cache/store/chunk-store.js';
import { readMapHeader } from '../cache/store/map-header.js';
import { removeStoreFiles } from '../cache/store/store-files.js';
import type { ShareRule } from '../catalog/cluster-id.js';
import { type ContentSpec, containerSpec, contentId, contentsUnder } from '../catalog/image-record.js';
import type { Manifest } from '../manifest/manifest.js';
import { openFormatOrigin } from '../origin/format/format-origin.js';
import type { FormatContainer, FormatLayer } from '../origin/format/layer.js';
import { openOrigin } from '../origin/open.js';
import type { Origin, OriginCredential } from '../origin/origin.js';
import { CachedOrigin } from './cached-origin.js';
import { Content, type ContentCluster, contentPaths, demandRequests, prefetchRequests, type Releasable } from './content.js';
import { type OriginRule, OriginSlot, ownOrigin } from './origin-slot.js';
import { privateExport } from './private-export.js';

export interface ContentPoolOptions {
  cacheDir: string;
  runDir: string;
  space: CacheSpace;
  /** For fetches of raw contents, and for those that wait for a decoder, which waits for the former. */
  memory: { raw: Budget; decoded: Budget };
  readaheadBytes: number;
  /** Of a sealed content; rejects when it can't be had. */
  manifestOf(spec: ContentSpec): Promise<Manifest | undefined>;
  /** The place of a raw content in the cluster; `undefined` when it is not shared. */
  clusterOf(spec: ContentSpec, share: ShareRule['share']): ContentCluster | undefined;
  credentials: OriginCredential[];
  log: Logger;
}

/** Holds a content open. Releasing it closes the content if this was the last user; a second release does nothing. */
export interface ContentLease extends Releasable {
  readonly content: Content;
}

interface Entry {
  content: Content;
  /** Of a raw content. */
  slot: OriginSlot | undefined;
  useCount: number;
  /** Somebody released it for good: what it cached goes when the last user does. */
  forget: boolean;
}

/** How often it is looked which contents nobody has read since the last look. Their files are closed. */
const parkMs = 5000;
/** Unused chunk buffers that are kept. */
const keptBufferBytes = 16 * MiB;

export class ContentPool {
  readonly #options: ContentPoolOptions;
  readonly #buffers = new BufferPools(keptBufferBytes);
  readonly #entries = new Map<string, Entry>();
  readonly #orphans = new Map<string, ChunkStore>();
  /** Closing contents, which must be gone before they are opened again. */
  readonly #closing = new Map<string, Promise<void>>();

  #cancelParking: () => void = () => {};
  #isClosed = false;

  constructor(options: ContentPoolOptions) {
    this.#options = options;
    this.#parkLater();
  }

  get contents(): Content[] {
    return [...this.#entries.values()].map((entry) => entry.content);
  }

  /**
   * Opens a content, and what lies below it. Asks no origin.
   *
   * @param share whether peers may have its bytes; where it is open already, what was said first holds
   * @param rule which origins may be opened for it; where it is open already, those that it allows are opened, too
   */
  async lease(spec: ContentSpec, share: ShareRule['share'] = undefined, rule: OriginRule = ownOrigin): Promise<ContentLease> {
    const id = contentId(spec);
    const open = this.#entries.get(id);
    if (open !== undefined) {
      this.#allow(spec, rule);
      return this.#readyLease(id, open);
    }
    const below: ContentLease[] = [];
    let origin: Origin | undefined;
    try {
      const slot = spec.format === 'raw' ? this.#slotOf(spec, rule) : undefined;
      origin = slot ?? (await this.#openDecoder(spec, below, share, rule));
      const manifest =
        slot === undefined ? undefined : await this.#options.manifestOf(slot.access === 'own' ? spec : withoutManifestUrl(spec));
      // The files are one store's at a time: whoever has them must be gone. Others may have waited for the same, and been quicker.
      for (let closing = this.#vacate(id); closing !== undefined; closing = this.#vacate(id)) await closing;
      let entry = this.#entries.get(id);
      if (entry === undefined) {
        entry = { content: this.#create(spec, { origin, manifest, share, below: [...below] }), slot, useCount: 0, forget: false };
        this.#entries.set(id, entry);
        // They are the content's now.
        origin = undefined;
        below.length = 0;
      } else {
        this.#allow(spec, rule);
      }
      return await this.#readyLease(id, entry);
    } finally {
      await origin?.close();
      for (const lease of below) await lease.release();
    }
  }

  /** The container of a content as the format room wants it, and the leases that it stands on. */
  async container(spec: ContentSpec, below: ContentLease[], share?: ShareRule['share'], rule?: OriginRule): Promise<FormatContainer> {
    const lease = await this.lease(containerSpec(spec), share, rule);
    below.push(lease);
    const { content } = lease;
    return { origin: new CachedOrigin(content), privateExport: privateExport(content.device, this.#options.runDir) };
  }

  /** A backing file as a layer, and the leases that it stands on. */
  async layer(spec: ContentSpec, below: ContentLease[], share?: ShareRule['share'], rule?: OriginRule): Promise<FormatLayer> {
    const backing: Record<string, FormatLayer> = {};
    for (const [name, backingSpec] of Object.entries(spec.backing ?? {})) backing[name] = await this.layer(backingSpec, below, share, rule);
    return { container: await this.container(spec, below, share, rule), format: spec.format, backing };
  }

  /** Takes up what lies in the cache directory and belongs to none of `knownIds`. */
  adoptOrphans(knownIds: ReadonlySet<string>): void {
    for (const file of readdirSync(this.#options.cacheDir)) {
      const id = /^([0-9a-f]{32})\.map$/.exec(file)?.[1];
      if (id !== undefined && !knownIds.has(id)) this.#orphan(id);
    }
  }

  /** No file is open when it resolves. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelParking();
    const contents = this.contents;
    this.#entries.clear();
    // The top ones first: decoders read from their containers.
    contents.sort((left, right) => Number(left.spec.format === 'raw') - Number(right.spec.format === 'raw'));
    for (const content of contents) await this.#track(content.id, content.close());
    for (const [id, store] of this.#orphans) await this.#track(id, store.close());
    this.#orphans.clear();
    await Promise.all(this.#closing.values());
  }

  /** A large map is read on a thread, before anybody looks into it. */
  async #readyLease(id: string, entry: Entry): Promise<ContentLease> {
    const lease = this.#leaseOf(id, entry);
    try {
      await entry.content.ready;
      return lease;
    } catch (error) {
      await lease.release();
      throw error;
    }
  }

  #leaseOf(id: string, entry: Entry): ContentLease {
    entry.useCount += 1;
    entry.forget = false;
    let released = false;
    return {
      content: entry.content,
      release: async ({ forget = false } = {}) => {
        if (released) return;
        released = true;
        entry.useCount -= 1;
        entry.forget ||= forget;
        if (entry.useCount > 0 || this.#entries.get(id) !== entry) return;
        this.#entries.delete(id);
        await this.#track(id, entry.content.close({ forget: entry.forget }), () => {
          if (entry.forget) removeStoreFiles(contentPaths(this.#options.cacheDir, id));
          else this.#orphan(id);
        });
      },
    };
  }

  #parkLater(): void {
    if (this.#isClosed) return;
    this.#cancelParking = systemClock.after(parkMs, () => void this.#park().finally(() => this.#parkLater()));
  }

  /** Closes the files of contents that nobody has read for a while. */
  async #park(): Promise<void> {
    const slice = new Slice();
    for (const store of [...this.#stores()]) {
      await slice.turn();
      await this.#parkOne(store);
    }
  }

  async #parkOne(store: ChunkStore): Promise<void> {
    try {
      if (store.isOpen) await store.park();
    } catch (error) {
      this.#options.log.warn({ reason: errorMessage(error) }, 'files of an idle content stay open');
    }
  }

  *#stores(): Iterable<ChunkStore> {
    for (const { content } of this.#entries.values()) yield content.cache.store;
    yield* this.#orphans.values();
  }

  /** The open content of that spec, and its origin where it is a raw one. */
  find(spec: ContentSpec): { content: Content; origin: OriginSlot | undefined } | undefined {
    const entry = this.#entries.get(contentId(spec));
    return entry && { content: entry.content, origin: entry.slot };
  }

  #slotOf(spec: ContentSpec, rule: OriginRule): OriginSlot {
    const { url, identity } = spec;
    const slot = new OriginSlot({ url, identity, open: (access) => this.#openOrigin(spec, access === 'own') });
    slot.allow(rule(spec));
    return slot;
  }

  /** Opens the origins that the rule allows, of the content and what lies below it. */
  #allow(spec: ContentSpec, rule: OriginRule): void {
    for (const content of contentsUnder(spec)) this.#entries.get(contentId(content))?.slot?.allow(rule(content));
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

  async #openDecoder(spec: ContentSpec, below: ContentLease[], share: ShareRule['share'], rule: OriginRule): Promise<Origin> {
    const { runDir, log } = this.#options;
    return openFormatOrigin({ ...(await this.layer(spec, below, share, rule)), sizeBytes: spec.sizeBytes, runDir, log });
  }

  #create(
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
      buffers: this.#buffers,
      readaheadBytes,
      log,
      below,
    });
  }

  /** Leaves what a content cached to the cache's space alone. */
  #orphan(id: string): void {
    const { cacheDir, space, log } = this.#options;
    const paths = contentPaths(cacheDir, id);
    try {
      const header = readMapHeader(paths.mapPath);
      if (header === undefined) {
        removeStoreFiles(paths);
        return;
      }
      const { sizeBytes, chunkBytes, recordSeed } = header;
      const store = new ChunkStore({ ...paths, sizeBytes, chunkBytes, recordSeed });
      this.#orphans.set(id, store);
      space.addOrphan(store, () => {
        this.#orphans.delete(id);
        void this.#track(id, store.close(), () => removeStoreFiles(paths));
      });
    } catch (error) {
      log.error({ file: paths.mapPath, reason: errorMessage(error) }, 'cached chunks of no image can neither be used nor removed');
    }
  }

  /** What has to end before a content's files can be opened; `undefined`: nothing. */
  #vacate(id: string): Promise<void> | undefined {
    const store = this.#orphans.get(id);
    if (store === undefined) return this.#closing.get(id);
    this.#orphans.delete(id);
    this.#options.space.remove(store);
    return this.#track(id, store.close());
  }

  /** Keeps everybody from a content's files until they are closed and what comes `then` is done. Never rejects. */
  #track(id: string, closed: Promise<void>, then: () => void = () => {}): Promise<void> {
    const closing = closed
      .catch((error: unknown) => {
        // What could not be synced is verified before it is served again.
        this.#options.log.error({ content: id, reason: errorMessage(error) }, 'cached content did not close cleanly');
      })
      .then(() => {
        this.#closing.delete(id);
        then();
      });
    this.#closing.set(id, closing);
    return closing;
  }
}

/** Where a manifest lies is another node's word, too: it comes from this node's store, or from a member. */
function withoutManifestUrl(spec: ContentSpec): ContentSpec {
  return spec.manifest === undefined ? spec : { ...spec, manifest: { digest: spec.manifest.digest } };
}
