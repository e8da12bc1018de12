/**
 * The exports that peers attach to: `node`, and of each shared content `home/ID` and `held/ID`, manifests, and records of images; those of disks are in `peer-disk-directory.ts`.
 * For a server of its own, on the address for peers; guests never see these.
 *
 * Invariant: requests as home, as held, and in the background each have memory of their own, so that none of them can keep another waiting.
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

/** A content that peers may read, held for one connection. */
export interface ServedContent {
  cache: PeerCache;
  deadlineMs: Record<ContentRole, number>;
  /** A peer has read the range, so it holds it now, or soon. */
  onServed(fromNodeId: string, offset: number, lengthBytes: number): void;
  /** To be called once when the connection lets go. */
  release(): void;
}

/** What this node shares, from whoever serves its images and disks. */
export interface PeerContents extends PeerDisks {
  /** A new object when anything but `usedBytes` changed; the same one is told apart at no cost. */
  statement(): NodeStatement;
  /** @param id of the content in the cluster. `undefined`: not shared. May reject: the peer is told the message */
  open(id: string): ServedContent | undefined | Promise<ServedContent | undefined>;
  /** The manifest of that digest (64 hexadecimal digits). */
  manifest(digest: string): Buffer | undefined | Promise<Buffer | undefined>;
  /** What the catalog says of an image. */
  record(name: string): ImageRecord | undefined;
  /** The member behind a connection; `undefined` for a stranger. @throws CopseError `ERR_CALLER` when it gives another's name */
  identify(client: ClientIdentity, name: string | undefined): Promise<Caller | undefined>;
}

/** Bounds on requests and replies on their way, over all peers. */
export interface PeerMemoryBytes {
  home: number;
  held: number;
  /** Of each role, in the background. */
  background: number;
  disks?: PeerDiskMemoryBytes | undefined;
}

export const defaultPeerMemoryBytes: PeerMemoryBytes = { home: 256 * MiB, held: 256 * MiB, background: 64 * MiB };

export class PeerDirectory implements ExportDirectory {
  /** Of each kind of export, over all contents and peers. */
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
    return [{ name: formatPeerExport({ kind: 'node' }), description: `what node ${nodeId} says of itself` }, ...shared];
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

  /** A node that is no member here may share a host, and so an address, with members: it reads images as a stranger. */
  async #memberOf(client: ClientIdentity, name: string | undefined): Promise<Caller | undefined> {
    try {
      return await this.#contents.identify(client, name);
    } catch (error) {
      if (errorCode(error) === 'ERR_CALLER') return undefined;
      throw error;
    }
  }

  /** A connection sees the statement as it was when it last read from the beginning: what it reads in pieces is of one cast. */
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
    return this.#bytes({ kind: 'image', name: imageName }, 'what the catalog says of an image', Buffer.from(JSON.stringify(record)));
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

  /** A stranger is served, as every NBD tool is; only a member counts as a holder of what it was given. */
  async #content(wanted: Extract<PeerExport, { kind: ContentRole }>, caller: Caller | undefined): Promise<Export | undefined> {
    const { kind: role, id, from, background = false } = wanted;
    const content = await this.#contents.open(id);
    if (content === undefined) return undefined;
    const onServed = (offset: number, lengthBytes: number): void => {
      if (from !== undefined && caller !== undefined) content.onServed(caller.id, offset, lengthBytes);
    };
    return {
      name: formatPeerExport({ kind: role, id }),
      description: role === 'home' ? 'asks holders and the origin for what is absent' : 'what this node holds',
      device: new PeerImageDevice({ cache: content.cache, role, background, onServed }),
      deadlineMs: content.deadlineMs[role],
      metrics: this.metrics[role],
      memory: this.#memory[role][background ? 'background' : 'demand'],
      release: () => content.release(),
    };
  }
}
