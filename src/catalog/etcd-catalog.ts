/**
 * The catalog that all nodes of all clusters share, in etcd. The files of this host mirror it.
 *
 * A name's generation in etcd grows with each change, so of two records the one with the greater
 * generation is the later one. A record that is here and not in etcd at all is put there: etcd was
 * wiped, or this host had images before there was an etcd. A removal is a value in etcd, not the
 * lack of one.
 *
 * Invariants: reads go to the local files, with etcd or without. A change is in etcd before it is
 * here. No loss of etcd removes an image from a node.
 */
import { type Clock, systemClock } from '../base/clock.js';
import { displayUrl, hidesSecret } from '../base/display-url.js';
import { CopseError, errorCode, errorMessage } from '../base/error.js';
import type { EtcdClient, EtcdEntry } from '../base/etcd/client.js';
import { EtcdMirror } from '../base/etcd/mirror.js';
import type { Closeable } from '../base/lifecycle.js';
import type { Logger } from '../base/log.js';
import type { Catalog, CatalogListener } from './catalog.js';
import type { ImageCatalog } from './image-catalog.js';
import { contentId, type ImageRecord } from './image-record.js';
import { diskKeyOf, imageKeyOf, parseSharedImage, removedValue, type SharedImage } from './shared-record.js';

export interface EtcdCatalogOptions {
  client: EtcdClient;
  /** Prefix of the keys without a closing slash, as in `/copse`. */
  prefix: string;
  /** The local files; no other code changes them. */
  local: ImageCatalog;
  log: Logger;
  clock?: Clock | undefined;
  /** Time between two comparisons of the watch with etcd, in ms; 5 s by default. */
  checkMs?: number | undefined;
}

/** Most tries of a write: other nodes may write the same name meanwhile, but not that often. */
const racesPerWrite = 5;
const republishRetryMs = 2000;

export class EtcdCatalog implements Catalog, Closeable {
  readonly #options: EtcdCatalogOptions;
  readonly #prefix: string;
  readonly #clock: Clock;
  readonly #mirror: EtcdMirror;
  readonly #listeners = new Set<CatalogListener>();
  /** Parsed entries, by the entry itself, so that each is read, and complained of, once. */
  readonly #parsed = new WeakMap<EtcdEntry, SharedImage | undefined>();
  /** Entries that are here already. */
  readonly #taken = new WeakSet<EtcdEntry>();
  /** Names that are on their way back into etcd. */
  readonly #republishing = new Set<string>();
  #cancelRetry: (() => void) | undefined;
  #closed = false;

  constructor(options: EtcdCatalogOptions) {
    const { client, prefix, log, clock = systemClock, checkMs } = options;
    this.#options = options;
    this.#clock = clock;
    this.#prefix = `${prefix}/images/`;
    this.#mirror = new EtcdMirror({ client, prefix: this.#prefix, log, clock, checkMs });
  }

  /** Reason why this host's files may be old; `undefined` if they are not. */
  get failure(): string | undefined {
    return this.#mirror.failure;
  }

  /**
   * Begins to follow etcd. Resolves to true if its state was taken over in time. It goes on trying.
   */
  async start(timeoutMs = 3000): Promise<boolean> {
    this.#mirror.onChange(() => this.#follow());
    this.#mirror.start();
    return this.#mirror.loaded(timeoutMs);
  }

  list(): ImageRecord[] {
    return this.#options.local.list();
  }

  get(name: string): ImageRecord | undefined {
    return this.#options.local.get(name);
  }

  async put(record: ImageRecord): Promise<ImageRecord> {
    const { name } = record;
    const seen = this.get(name);
    const now = await this.#write(name, async () => {
      const present = await this.#read(name);
      const image = present && parseSharedImage(name, present.value);
      if (image?.kind === 'record' && (isSame(image.record, record) || (seen === undefined && hasSameContent(image.record, record)))) {
        return image.record;
      }
      checkUnchanged(name, seen, image);
      const next = { ...record, generation: Math.max(image?.generation ?? 0, seen?.generation ?? 0) + 1 };
      const isNew = image?.kind !== 'record' && seen === undefined;
      const written = await this.#put(name, present?.modRevision ?? 0, JSON.stringify(next), isNew);
      return written ? next : undefined;
    });
    // The mirror has done this already, unless etcd went away in between.
    const here = this.get(name);
    if (here === undefined || (here.generation ?? 0) < (now.generation ?? 0)) await this.#options.local.put(now);
    if (hidesSecret(now.content.url)) {
      this.#options.log.warn(
        { image: name, url: displayUrl(now.content.url) },
        'the URL of this image has a user, a password or a query, which all who may read the catalog in etcd can see: [[credential]] keeps secrets on each host',
      );
    }
    return now;
  }

  async remove(name: string): Promise<void> {
    const seen = this.get(name);
    const generation = await this.#write(name, async () => {
      const present = await this.#read(name);
      const image = present && this.#parse(name, present);
      if (image?.kind === 'removed' || (present === undefined && seen === undefined)) return image?.generation ?? 0;
      const next = Math.max(image?.generation ?? 0, seen?.generation ?? 0) + 1;
      const written = await this.#options.client.putIf(this.#keyOf(name), present?.modRevision ?? 0, removedValue(next));
      return written ? next : undefined;
    });
    const here = this.get(name);
    if (here !== undefined && (here.generation ?? 0) <= generation) await this.#options.local.remove(name);
  }

  onChange(listener: CatalogListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#closed = true;
    this.#listeners.clear();
    this.#cancelRetry?.();
    this.#mirror.close();
  }

  /**
   * Puts a value. Disks and images share names, so a new name is put only while no disk has it.
   * @throws CopseError `ERR_IMAGE_EXISTS`
   */
  async #put(name: string, modRevision: number, value: string, isNew: boolean): Promise<boolean> {
    const { client, prefix } = this.#options;
    if (!isNew) return client.putIf(this.#keyOf(name), modRevision, value);
    const diskKey = diskKeyOf(prefix, name);
    if ((await client.get(diskKey)) !== undefined) {
      throw new CopseError(
        'ERR_IMAGE_EXISTS',
        `there is a disk "${name}", and disks and images share the names of exports: choose another name`,
      );
    }
    return client.putIfBoth(this.#keyOf(name), modRevision, value, { key: diskKey, modRevision: 0 });
  }

  #keyOf(name: string): string {
    return imageKeyOf(this.#options.prefix, name);
  }

  #read(name: string): Promise<EtcdEntry | undefined> {
    return this.#options.client.get(this.#keyOf(name));
  }

  /**
   * Tries until no other write came between reading and writing. Then it waits until the mirror has
   * the value, so that no older view undoes it here.
   */
  async #write<T>(name: string, attempt: () => Promise<T | undefined>): Promise<T> {
    try {
      for (let race = 0; race < racesPerWrite; race++) {
        const result = await attempt();
        if (result === undefined) continue;
        // It is written; if etcd went away since, the next load shows it.
        await this.#mirror.refresh().catch(() => {});
        return result;
      }
    } catch (error) {
      if (errorCode(error) !== 'ERR_ETCD_UNAVAILABLE') throw error;
      throw new CopseError(
        'ERR_ETCD_UNAVAILABLE',
        `image "${name}" can't be changed now, for all nodes share the catalog: ${errorMessage(error)}. Images that are served go on; try again when etcd is back, and look first whether the change was made ("copse image ls")`,
        { cause: error },
      );
    }
    throw conflict(name, 'is changed by other nodes again and again');
  }

  #follow(): void {
    if (this.#closed || this.#mirror.failure !== undefined) return;
    for (const [name, entry] of this.#mirror.entries) {
      const image = this.#parse(name, entry);
      if (image !== undefined) this.#take(name, image, entry);
    }
    for (const record of this.list()) {
      if (!this.#mirror.entries.has(record.name)) this.#republish(record, 0);
    }
  }

  #take(name: string, image: SharedImage, entry: EtcdEntry): void {
    const { local, log } = this.#options;
    const own = this.get(name);
    if (this.#taken.has(entry) && (image.kind === 'removed' ? own === undefined : own?.generation === image.record.generation)) return;
    const isUnshared = own !== undefined && own.generation === undefined;
    if (own !== undefined && ((own.generation ?? 0) > image.generation || (isUnshared && image.kind === 'removed'))) {
      this.#republish(own, entry.modRevision);
      return;
    }
    this.#taken.add(entry);
    if (image.kind === 'removed') {
      if (own !== undefined) this.#applied(name, undefined, local.remove(name));
      return;
    }
    if (isUnshared && !hasSameContent(own, image.record)) {
      log.warn(
        { image: name, here: displayUrl(own.content.url), shared: displayUrl(image.record.content.url) },
        'this name is another image in the catalog that all nodes share: that one is served',
      );
    }
    if (own === undefined || own.generation !== image.record.generation || !isSame(own, image.record)) {
      this.#applied(name, image.record, local.put(image.record));
    }
  }

  #applied(name: string, record: ImageRecord | undefined, done: Promise<unknown>): void {
    done.then(
      () => {
        for (const listener of [...this.#listeners]) listener(name, record);
      },
      (error: unknown) =>
        this.#options.log.error({ image: name, reason: errorMessage(error) }, 'a change of the catalog could not be written here'),
    );
  }

  #republish(record: ImageRecord, modRevision: number): void {
    const { name } = record;
    if (this.#republishing.has(name)) return;
    const { client, log } = this.#options;
    this.#republishing.add(name);
    // Of several nodes that do the same, the one with the latest record prevails.
    const value = JSON.stringify({ ...record, generation: record.generation ?? this.#removedGeneration(name) + 1 });
    client
      .putIf(this.#keyOf(name), modRevision, value)
      .then((written) => {
        if (written) log.info({ image: name }, 'put an image back into etcd, which did not have it');
      })
      .catch((error: unknown) => {
        log.warn({ image: name, reason: errorMessage(error) }, 'an image that etcd lacks could not be put there');
        this.#cancelRetry?.();
        if (!this.#closed) this.#cancelRetry = this.#clock.after(republishRetryMs, () => this.#follow());
      })
      .finally(() => this.#republishing.delete(name));
  }

  #removedGeneration(name: string): number {
    const entry = this.#mirror.entries.get(name);
    return (entry && this.#parse(name, entry)?.generation) ?? 0;
  }

  #parse(name: string, entry: EtcdEntry): SharedImage | undefined {
    if (this.#parsed.has(entry)) return this.#parsed.get(entry);
    let image: SharedImage | undefined;
    try {
      image = parseSharedImage(name, entry.value);
    } catch (error) {
      this.#options.log.error(
        { image: name, reason: errorMessage(error) },
        'an image of the shared catalog is passed over; what this node has of it stays',
      );
    }
    this.#parsed.set(entry, image);
    return image;
  }
}

/**
 * @throws CopseError `ERR_IMAGE_EXISTS`, `ERR_IMAGE_CONFLICT` if the name is not as the caller saw
 * it
 */
function checkUnchanged(name: string, seen: ImageRecord | undefined, image: SharedImage | undefined): void {
  if (image?.kind === 'record') {
    if (seen === undefined) {
      throw new CopseError(
        'ERR_IMAGE_EXISTS',
        `image "${name}" exists: another node has just added it with other content; use another name, or remove that one first`,
      );
    }
    if (image.generation !== (seen.generation ?? 0)) throw conflict(name, 'was changed by another node meanwhile');
  }
  if (image?.kind === 'removed' && seen?.generation !== undefined) throw conflict(name, 'was removed by another node meanwhile');
}

function conflict(name: string, what: string): CopseError {
  return new CopseError('ERR_IMAGE_CONFLICT', `image "${name}" ${what}: look at what it is now ("copse image status"), and try again`);
}

function hasSameContent(left: ImageRecord, right: ImageRecord): boolean {
  return contentId(left.content) === contentId(right.content);
}

/** Compares all but the time of pinning and the generation. */
function isSame(left: ImageRecord, right: ImageRecord): boolean {
  const words = ({ deadlineMs, share, backingImages }: ImageRecord): string => JSON.stringify([deadlineMs, share, backingImages ?? {}]);
  return hasSameContent(left, right) && words(left) === words(right);
}
