/**
 * This node's statement to other nodes: its record, the use of its cache, the contents that it
 * shares, and its exports.
 *
 * Invariant: the same object is returned until anything but the used bytes has changed.
 */
import type { Clock } from '../base/clock.js';
import type { OriginHealth } from '../origin/health.js';
import { OriginReach } from './health/origin-reach.js';
import type { NodeRecord, NodeStatement, OwnedDisk, SharedContent } from './node.js';

/**
 * Interval, in ms, at which the statement is made anew, because no event tells of an origin's
 * health.
 */
const lookMs = 500;

/** A content of this node, as far as its statement tells of it. */
export interface StatedContent {
  readonly spec: { sizeBytes: number; chunkSizeBytes: number };
  readonly hasOrigin: boolean;
  readonly health: OriginHealth;
}

interface Shared<Content> {
  /** Contents of this node that have one id in the cluster. Peers get the first. */
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
  /** IP addresses of this host, without those of the loopback. */
  addresses(): string[];
  clock: Clock;
  /** Called when the record, a shared content or an export has changed. */
  onChange(): void;
}

export class Self<Content extends StatedContent = StatedContent> {
  readonly #options: SelfOptions;
  readonly #shared = new Map<string, Shared<Content>>();
  readonly #startedAt = new Date().toISOString();
  #record: NodeRecord;
  #statement: NodeStatement | undefined;
  #exports = noExports;
  #key = '';
  /** Statement of which this node's own view was last told. */
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

  /** Changes this node's record, and tells of it. */
  change(change: Partial<Pick<NodeRecord, 'cluster' | 'draining' | 'donatedBytes'>>): void {
    this.#record = { ...this.#record, ...change };
    this.tell();
  }

  /** The content that peers get for an id. */
  content(id: string): Content | undefined {
    return this.#shared.get(id)?.contents[0];
  }

  share(id: string, content: Content): void {
    const shared: Shared<Content> = this.#shared.get(id) ?? { contents: [], reach: new OriginReach(this.#options.clock) };
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

  /** Tells this node's view, and by that other nodes, of the present statement. */
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
      // Compares with the statement that was told of. A ping may have made a later one meanwhile.
      if (this.statement !== this.#told) this.tell();
      this.#look();
    });
  }
}
