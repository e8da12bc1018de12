/**
 * All contents of the node. Each is open once, however many names, backing chains and connections
 * use it, and is closed with its last user.
 *
 * Invariants: a content is in the pool from its opening until its last lease is released. Its files
 * are opened only after `ContentFiles` has closed them for the store before.
 */
import type { ShareRule } from '../catalog/cluster-id.js';
import { type ContentSpec, contentId, contentsUnder } from '../catalog/image-record.js';
import type { Manifest } from '../manifest/manifest.js';
import type { FormatContainer, FormatLayer } from '../origin/format/layer.js';
import type { Origin } from '../origin/origin.js';
import type { Content } from './content.js';
import { ContentFactory, type ContentFactoryOptions, type ContentLease } from './content-factory.js';
import { ContentFiles } from './content-files.js';
import { IdleFiles } from './idle-files.js';
import { type OriginRule, type OriginSlot, ownOrigin } from './origin-slot.js';

export type { ContentLease } from './content-factory.js';

export interface ContentPoolOptions extends ContentFactoryOptions {
  /** Returns the manifest of a sealed content; rejects when it can't be had. */
  manifestOf(spec: ContentSpec): Promise<Manifest | undefined>;
}

interface Entry {
  content: Content;
  /** Origin of a raw content. */
  slot: OriginSlot | undefined;
  useCount: number;
  /** True if a user released the content for good: its files go with the last user. */
  forget: boolean;
}

export class ContentPool {
  readonly #options: ContentPoolOptions;
  readonly #factory: ContentFactory;
  readonly #files: ContentFiles;
  readonly #idle: IdleFiles;
  readonly #entries = new Map<string, Entry>();

  constructor(options: ContentPoolOptions) {
    this.#options = options;
    this.#factory = new ContentFactory(options, (spec, { share, rule }) => this.lease(spec, share, rule));
    this.#files = new ContentFiles(options);
    this.#idle = new IdleFiles(() => this.#stores(), options.log);
  }

  get contents(): Content[] {
    return [...this.#entries.values()].map((entry) => entry.content);
  }

  /**
   * Opens a content, and the contents below it. Asks no origin.
   *
   * @param share the sharing rule of its image; a content that is open already keeps its first one
   * @param rule the origins that may be opened, also for a content that is open already
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
      const slot = spec.format === 'raw' ? this.#factory.slot(spec, rule) : undefined;
      origin = slot ?? (await this.#factory.decoder(spec, below, { share, rule }));
      const manifest =
        slot === undefined ? undefined : await this.#options.manifestOf(slot.access === 'own' ? spec : withoutManifestUrl(spec));
      for (let closing = this.#files.vacate(id); closing !== undefined; closing = this.#files.vacate(id)) await closing;
      let entry = this.#entries.get(id);
      if (entry === undefined) {
        entry = { content: this.#factory.content(spec, { origin, manifest, share, below: [...below] }), slot, useCount: 0, forget: false };
        this.#entries.set(id, entry);
        // Both are the content's now.
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

  /** Leases the container of a content for the format room. Adds the lease to `below`. */
  container(spec: ContentSpec, below: ContentLease[], share?: ShareRule['share']): Promise<FormatContainer> {
    return this.#factory.container(spec, below, { share });
  }

  /** Leases a backing file and those below it for the format room. Adds all leases to `below`. */
  layer(spec: ContentSpec, below: ContentLease[], share?: ShareRule['share']): Promise<FormatLayer> {
    return this.#factory.layer(spec, below, { share });
  }

  /** Returns the open content of that spec, and its origin if it is a raw one. */
  find(spec: ContentSpec): { content: Content; origin: OriginSlot | undefined } | undefined {
    const entry = this.#entries.get(contentId(spec));
    return entry && { content: entry.content, origin: entry.slot };
  }

  /** Makes orphans of all cached files whose content id is not among `knownIds`. */
  adoptOrphans(knownIds: ReadonlySet<string>): void {
    this.#files.adoptOrphans(knownIds);
  }

  /** Closes all contents. No file is open when it resolves. */
  async close(): Promise<void> {
    this.#idle.close();
    const contents = this.contents;
    this.#entries.clear();
    // Decoders read from their containers, so they go first.
    contents.sort((left, right) => Number(left.spec.format === 'raw') - Number(right.spec.format === 'raw'));
    for (const content of contents) await this.#files.giveBack(content.id, content.close(), 'keep');
    await this.#files.close();
  }

  /** Waits until the map is in memory; a thread reads a large one. */
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
    let isReleased = false;
    return {
      content: entry.content,
      release: async ({ forget = false } = {}) => {
        if (isReleased) return;
        isReleased = true;
        entry.useCount -= 1;
        entry.forget ||= forget;
        if (entry.useCount > 0 || this.#entries.get(id) !== entry) return;
        this.#entries.delete(id);
        await this.#files.giveBack(id, entry.content.close({ forget: entry.forget }), entry.forget ? 'remove' : 'orphan');
      },
    };
  }

  *#stores(): Iterable<Content['cache']['store']> {
    for (const { content } of this.#entries.values()) yield content.cache.store;
    yield* this.#files.orphans;
  }

  /** Opens the origins that the rule allows, of the content and of those below it. */
  #allow(spec: ContentSpec, rule: OriginRule): void {
    for (const content of contentsUnder(spec)) this.#entries.get(contentId(content))?.slot?.allow(rule(content));
  }
}

/**
 * Drops the manifest's URL, which another node named. The manifest comes from this node's store, or
 * from a member.
 */
function withoutManifestUrl(spec: ContentSpec): ContentSpec {
  return spec.manifest === undefined ? spec : { ...spec, manifest: { digest: spec.manifest.digest } };
}
