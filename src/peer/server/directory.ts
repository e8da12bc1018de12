/**
 * Finds the exports that peers attach to: the statement of this node, shared contents, manifests,
 * and records of images. It passes exports of disks and calls on to `disk-directory.ts`.
 *
 * A server of its own, on the node's address, serves them. Guests never see them.
 *
 * Invariants: home, held and background requests have memory of their own, so that none of them
 * delays another. Only a member counts as a holder of the bytes that it was given.
 *
 * Source: docs/reference/peer-protocol.md, "Exports".
 */
import { errorCode } from '../../base/error.js';
import { formatSize, MiB } from '../../base/size.js';
import type { ImageRecord } from '../../catalog/image-record.js';
import { publishedRecord } from '../../catalog/published-record.js';
import type { NodeStatement } from '../../cluster/node.js';
import type { Caller } from '../../disk/protocol/caller.js';
import type { ClientIdentity, Export, ExportDirectory, ExportMetrics } from '../../server/export.js';
import { createExportMetrics } from '../../server/export-metrics.js';
import { RequestMemory } from '../../server/request-memory.js';
import { type ContentRole, formatPeerExport, type PeerExport, parsePeerExport } from '../wire/export-name.js';
import { StatementCache, statementPageBytes } from '../wire/statement-page.js';
import { PeerBytesDevice } from './bytes-device.js';
import { defaultPeerDiskMemoryBytes, PeerDiskDirectory, type PeerDiskMemoryBytes, type PeerDisks } from './disk-directory.js';
import { type PeerCache, PeerImageDevice } from './image-device.js';

/** A content that peers may read, kept open for one connection. */
export interface ServedContent {
  cache: PeerCache;
  /** Deadline per request by role, in ms. */
  deadlineMs: Record<ContentRole, number>;
  /** Called when a peer has read a range, which it holds now or soon. */
  onServed(fromNodeId: string, offset: number, lengthBytes: number): void;
  /** Called once, when the connection ends. */
  release(): void;
}

/** The images and disks that this node shares with its peers. */
export interface PeerContents extends PeerDisks {
  /**
   * Returns the statement of this node. It is a new object whenever anything but `usedBytes` has
   * changed, and the same object may come again.
   */
  statement(): NodeStatement;
  /**
   * Opens a content. A peer is told the message of a rejection.
   *
   * @param id id of the content in the cluster
   * @returns `undefined` if the content is not shared
   */
  open(id: string): ServedContent | undefined | Promise<ServedContent | undefined>;
  /** @param digest 64 hexadecimal digits. @returns `undefined` if this node lacks the manifest */
  manifest(digest: string): Buffer | undefined | Promise<Buffer | undefined>;
  /** Returns the catalog's record of an image. */
  record(name: string): ImageRecord | undefined;
  /**
   * Finds the member behind a connection; `undefined` for a stranger.
   *
   * @param name id that the client gives
   * @throws CopseError `ERR_CALLER` if the client gives the id of another member
   */
  identify(client: ClientIdentity, name: string | undefined): Promise<Caller | undefined>;
}

/** Bounds on the memory of requests and replies under way, over all peers, in bytes. */
export interface PeerMemoryBytes {
  home: number;
  held: number;
  /** Bound for background requests of each role. */
  background: number;
  disks?: PeerDiskMemoryBytes | undefined;
}

export const defaultPeerMemoryBytes: PeerMemoryBytes = { home: 256 * MiB, held: 256 * MiB, background: 64 * MiB };

export class PeerDirectory implements ExportDirectory {
  /** Metrics of each kind of export, over all contents and peers. */
  readonly metrics: Record<PeerExport['kind'], ExportMetrics> = {
    node: createExportMetrics(),
    home: createExportMetrics(),
    held: createExportMetrics(),
    manifest: createExportMetrics(),
    image: createExportMetrics(),
    disk: createExportMetrics(),
    blocks: createExportMetrics(),
    map: createExportMetrics(),
    call: createExportMetrics(),
  };
  readonly #contents: PeerContents;
  readonly #disks: PeerDiskDirectory;
  readonly #statementCache = new StatementCache();
  readonly #memory: Record<ContentRole, Record<'demand' | 'background', RequestMemory>>;

  constructor(contents: PeerContents, memoryBytes: PeerMemoryBytes = defaultPeerMemoryBytes) {
    this.#contents = contents;
    const { home, held, background, disks = defaultPeerDiskMemoryBytes } = memoryBytes;
    this.#disks = new PeerDiskDirectory(contents, this.metrics, disks);
    this.#memory = {
      home: { demand: new RequestMemory(home), background: new RequestMemory(background) },
      held: { demand: new RequestMemory(held), background: new RequestMemory(background) },
    };
  }

  list(): { name: string; description: string }[] {
    const { id: nodeId, contents } = this.#contents.statement();
    const shared = contents.flatMap(({ id, sizeBytes }) =>
      (['home', 'held'] as const).map((kind) => ({ name: formatPeerExport({ kind, id }), description: formatSize(sizeBytes) })),
    );
    return [{ name: formatPeerExport({ kind: 'node' }), description: `the statement of node ${nodeId}` }, ...shared];
  }

  exportCount(): number {
    return 1 + 2 * this.#contents.statement().contents.length;
  }

  async open(name: string, client: ClientIdentity): Promise<Export | undefined> {
    const wanted = parsePeerExport(name);
    if (wanted === undefined) return undefined;
    switch (wanted.kind) {
      case 'node':
        return this.#node();
      case 'image':
        return this.#image(wanted.name);
      case 'manifest':
        return this.#manifest(wanted.digest);
      case 'home':
      case 'held':
        return this.#content(wanted, await this.#memberOf(client, wanted.from));
      default:
        return this.#disks.open(wanted, () => this.#contents.identify(client, wanted.from));
    }
  }

  /**
   * Finds the member behind a connection. A node of another cluster may share an address with
   * members; it reads images as a stranger and is not refused.
   */
  async #memberOf(client: ClientIdentity, name: string | undefined): Promise<Caller | undefined> {
    try {
      return await this.#contents.identify(client, name);
    } catch (error) {
      if (errorCode(error) === 'ERR_CALLER') return undefined;
      throw error;
    }
  }

  /**
   * Opens the statement. A connection takes a page when it reads at offset 0, and its later reads
   * see the same page. So header and statement fit together.
   */
  #node(): Export {
    const take = () => this.#statementCache.page(this.#contents.statement());
    let page = take();
    const device = new PeerBytesDevice(statementPageBytes, (target, targetStart, lengthBytes, offset) => {
      if (offset === 0) page = take();
      page.copy(target, targetStart, lengthBytes, offset);
    });
    const description = 'a node of a Copse cluster: header and statement, JSON';
    return { name: formatPeerExport({ kind: 'node' }), description, device, metrics: this.metrics.node, release: () => {} };
  }

  #image(imageName: string): Export | undefined {
    const known = this.#contents.record(imageName);
    const record = known && publishedRecord(known);
    if (record === undefined) return undefined;
    return this.#bytes({ kind: 'image', name: imageName }, "the catalog's record of an image: JSON", Buffer.from(JSON.stringify(record)));
  }

  async #manifest(digest: string): Promise<Export | undefined> {
    const bytes = await this.#contents.manifest(digest);
    if (bytes === undefined) return undefined;
    return this.#bytes({ kind: 'manifest', digest }, 'the manifest of an image', bytes);
  }

  #bytes(wanted: PeerExport, description: string, bytes: Buffer): Export {
    const device = new PeerBytesDevice(bytes.length, (target, targetStart, lengthBytes, offset) => {
      bytes.copy(target, targetStart, offset, offset + lengthBytes);
    });
    return { name: formatPeerExport(wanted), description, device, metrics: this.metrics[wanted.kind], release: () => {} };
  }

  /** Opens a content for members and strangers alike, so that any NBD tool can read it. */
  async #content(wanted: Extract<PeerExport, { kind: ContentRole }>, caller: Caller | undefined): Promise<Export | undefined> {
    const { kind: role, id, from, background = false } = wanted;
    const content = await this.#contents.open(id);
    if (content === undefined) return undefined;
    const onServed = (offset: number, lengthBytes: number): void => {
      if (from !== undefined && caller !== undefined) content.onServed(caller.id, offset, lengthBytes);
    };
    return {
      name: formatPeerExport({ kind: role, id }),
      description: role === 'home' ? 'a content, from this node, its peers or the origin' : 'a content, as far as this node holds it',
      device: new PeerImageDevice({ cache: content.cache, role, background, onServed }),
      deadlineMs: content.deadlineMs[role],
      metrics: this.metrics[role],
      memory: this.#memory[role][background ? 'background' : 'demand'],
      release: () => content.release(),
    };
  }
}
