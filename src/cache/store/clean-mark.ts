/**
 * The word `clean` in the header of a map: taken away before the first change, and written again
 * after a close that synced everything.
 *
 * Invariants: the header says `clean` only while nothing was changed since such a close. A sync
 * that failed is never forgotten: this process does not call the map clean any more.
 */
import { dataFileStamp, writeMapHeader, writeMapHeaderLater } from './map-header.js';
import { type ChunkStoreOptions, headerOf } from './store-files.js';

export class CleanMark {
  readonly #options: ChunkStoreOptions;
  /** Syncs data, then map, to the disk. */
  readonly #sync: () => Promise<void>;
  /** True while the header on the disk says `clean`, or there is no header. */
  #isUntouched: boolean;
  #touching: Promise<void> | undefined;
  /** True if something was changed since the last sync. */
  #isDirty = false;
  #hasSyncFailed = false;

  constructor(options: ChunkStoreOptions, isUntouched: boolean, sync: () => Promise<void>) {
    this.#options = options;
    this.#isUntouched = isUntouched;
    this.#sync = sync;
  }

  /** True if something was changed since the last sync. */
  get isDirty(): boolean {
    return this.#isDirty;
  }

  /** True if no change was begun: the map is worth what it was worth before. */
  get isUnchanged(): boolean {
    return this.#isUntouched && this.#touching === undefined;
  }

  /** Runs a call that changes records, once the header does not say `clean` any more. */
  change<T>(call: () => Promise<T>): Promise<T> {
    this.#isDirty = true;
    // Begins in this turn where the header is right: the chunks are the call's from here on.
    return this.#isUntouched ? this.#touch().then(() => this.#changed(call)) : this.#changed(call);
  }

  /** Never rejects: a failure is remembered. */
  async sync(): Promise<void> {
    this.#isDirty = false;
    try {
      await this.#sync();
    } catch {
      // The kernel may have dropped what it could not write, and reports that once.
      this.#hasSyncFailed = true;
    }
  }

  /** Resolves when no header is being written. Rejects if the last one could not be written. */
  async settled(): Promise<void> {
    await this.#touching;
  }

  /**
   * Marks the map clean, unless a sync failed or the data file is gone. The files are closed and
   * synced.
   */
  restore(): void {
    const stamp = dataFileStamp(this.#options.dataPath, this.#options.sizeBytes);
    if (this.#hasSyncFailed || stamp === undefined) return;
    writeMapHeader(this.#options.mapPath, { ...headerOf(this.#options), clean: stamp });
  }

  async #changed<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } finally {
      // A sync that began meanwhile may have missed the change.
      this.#isDirty = true;
    }
  }

  /**
   * Makes the header durable before the first record is written. Only a clean close makes records
   * trustworthy again.
   */
  #touch(): Promise<void> {
    this.#touching ??= writeMapHeaderLater(this.#options.mapPath, headerOf(this.#options)).then(
      () => {
        this.#isUntouched = false;
      },
      (error: unknown) => {
        this.#touching = undefined;
        throw error;
      },
    );
    return this.#touching;
  }
}
