/**
 * What this node says of itself, put together from who knows: its record, its cache, the contents that it shares.
 *
 * Invariant: the same object is returned until something but the used bytes has changed.
 */
import type { Clock } from '../../base/clock.js';
import type { NodeRecord, NodeStatement, OwnedDisk, SharedContent } from '../../cluster/node.js';
import type { Content } from '../../image/content.js';
import { OriginReach } from './origin-reach.js';

/** How often it is looked whether anything has changed that nobody tells of: an origin's health. */
const lookMs = 500;

interface Shared {
  /** Contents of this node that have one id in the cluster: the first one is what peers get. */
  contents: Content[];
  reach: OriginReach;
}

/** Exports of this node, as far as other nodes are told of them. */
export interface StatedExports {
  /** Names of the images and disks that clients are attached to, sorted. */
  attached(): string[];
  /** Disks that this node owns. */
  disks(): OwnedDisk[];
}

const noExports: StatedExports = { attached: () => [], disks: () => [] };

export interface SelfOptions {
  record: NodeRecord;
  usedBytes(): number;
  /** IP addresses of this host, but those of the loopback. */
  addresses(): string[];
  clock: Clock;
  /** The record has changed, or what is shared. */
  onChange(): void;
}

export class Self {
  readonly #options: SelfOptions;
  readonly #shared = new Map<string, Shared>();
  readonly #startedAt = new Date().toISOString();
  #record: NodeRecord;
  #statement: NodeStatement | undefined;
  #exports = noExports;
  #key = '';
  /** What this node's own view was last told of. */
  #told: NodeStatement | undefined;
  #cancelLook: () => void = () => {};

  constructor(options: SelfOptions) {
    this.#options = options;
    this.#record = options.record;
    this.#look();
  }

  get record(): NodeRecord {
    return this.#record;
  }

  get statement(): NodeStatement {
    const contents = this.#contents();
    const attached = this.#exports.attached();
    const disks = this.#exports.disks();
    const addresses = this.#options.addresses();
    const key = JSON.stringify([this.#record, contents, attached, disks, addresses]);
    if (this.#statement === undefined || key !== this.#key) {
      this.#key = key;
      this.#statement = { ...this.#record, startedAt: this.#startedAt, usedBytes: 0, contents, attached, disks, addresses };
    }
    this.#statement.usedBytes = this.#options.usedBytes();
    return this.#statement;
  }

  /** Tells of this node's exports from now on. Before that the statement names none. */
  state(exports: StatedExports): void {
    this.#exports = exports;
  }

  /** @throws nothing; whoever wants to know is told */
  change(change: Partial<Pick<NodeRecord, 'cluster' | 'draining' | 'donatedBytes'>>): void {
    this.#record = { ...this.#record, ...change };
    this.tell();
  }

  /** The content that peers get for an id. */
  content(id: string): Content | undefined {
    return this.#shared.get(id)?.contents[0];
  }

  share(id: string, content: Content): void {
    const shared = this.#shared.get(id) ?? { contents: [], reach: new OriginReach(this.#options.clock) };
    shared.contents.push(content);
    this.#shared.set(id, shared);
    this.tell();
  }

  unshare(id: string, content: Content): void {
    const shared = this.#shared.get(id);
    const index = shared?.contents.indexOf(content) ?? -1;
    if (shared === undefined || index < 0) return;
    shared.contents.splice(index, 1);
    if (shared.contents.length === 0) this.#shared.delete(id);
    this.tell();
  }

  close(): void {
    this.#cancelLook();
  }

  /** Something that others want to know has changed. */
  tell(): void {
    this.#told = this.statement;
    this.#options.onChange();
  }

  #contents(): SharedContent[] {
    return [...this.#shared].flatMap(([id, { contents, reach }]) => {
      const [content] = contents;
      if (content === undefined) return [];
      const { sizeBytes, chunkSizeBytes } = content.spec;
      return { id, sizeBytes, chunkSizeBytes, originReachable: content.hasOrigin && reach.isReachable(content.health) };
    });
  }

  #look(): void {
    this.#cancelLook = this.#options.clock.after(lookMs, () => {
      // Not the last one that was made: a ping may have had it made.
      if (this.statement !== this.#told) this.tell();
      this.#look();
    });
  }
}
