/**
 * A disk's files on this node, as the machine of ownership changes them: opened, inherited, made
 * durable, let go of, removed.
 *
 * Invariant: `hosted` holds the open files. A folder that was let go of or closed is opened anew.
 */
import { ClosedError, CopseError } from '../../base/error.js';
import { DiskFolder } from '../folder/folder.js';
import type { HostedDisk } from '../hosted/hosted-disk.js';
import { inheritMap } from '../hosted/inherited-map.js';
import type { Handover } from '../protocol/call.js';
import type { DiskRecord, NodeRef, OwnerState } from '../protocol/record.js';
import type { RemoteNodes } from '../protocol/remote-nodes.js';
import type { DiskDirectory } from './directory.js';
import { isGrantedTo } from './rule.js';
import type { Ownership } from './state.js';

export interface DiskFilesOptions {
  record: DiskRecord;
  home: DiskDirectory;
  peers: RemoteNodes | undefined;
  /** Called when other files are open. */
  onOpen(): void;
}

/** Files with which this node is about to become the owner. */
interface Inherited {
  record: DiskRecord;
  nodes: OwnerState['nodes'];
  states: Uint8Array;
  /** The folder that is here already, closed, with the new map's file name. */
  present?: { folder: DiskFolder; map: string };
}

export class DiskFiles {
  readonly #options: DiskFilesOptions;
  #record: DiskRecord;
  #hosted: HostedDisk | undefined;
  /** Let go of, and still to be closed or opened. */
  #left: HostedDisk | undefined;
  #folder: DiskFolder | undefined;
  #inherited: Inherited | undefined;
  #isClosed = false;

  constructor(options: DiskFilesOptions) {
    this.#options = options;
    this.#record = options.record;
  }

  get hosted(): HostedDisk | undefined {
    return this.#hosted;
  }

  /** The record as it was when the files were here last. */
  get lastRecord(): DiskRecord {
    return this.#record;
  }

  /** Owner file as the open files have it. */
  get state(): OwnerState | undefined {
    return this.#hosted?.isClosed === false ? this.#hosted.state : undefined;
  }

  /**
   * @returns the answer to `disk.handover`; `undefined` if the disk is not granted to that node, or
   * was accepted since
   */
  handoverTo(nodeId: string): Handover | undefined {
    const { state } = this;
    const hosted = this.#hosted;
    if (hosted === undefined || state === undefined || !isGrantedTo(state, nodeId)) return undefined;
    const { copy } = hosted;
    // Blocks that were copied ahead count for this very copy alone.
    const known = copy?.to === nodeId ? { copy: copy.id } : {};
    return { epoch: state.epoch + 1, record: hosted.record, nodes: state.nodes, forced: state.forced, ...known };
  }

  /**
   * Brings the giver's map, and writes the map with which this node begins to own the disk. No file
   * names that map yet.
   *
   * @throws CopseError `ERR_SIZE`; the error of the giver's map
   */
  async inherit(giver: NodeRef, { epoch, record, nodes, copy }: Handover): Promise<void> {
    const { home, peers } = this.#options;
    this.#inherited = undefined;
    const present = this.#hosted;
    const { uuid } = record;
    if (peers === undefined) throw new CopseError('ERR_NOT_CLUSTERED', 'this node is in no cluster');
    if (present !== undefined && present.record.sizeBytes > record.sizeBytes) {
      throw new CopseError(
        'ERR_SIZE',
        `disk "${record.name}" is smaller than what this node has of it: remove that first ("copse disk rm")`,
      );
    }
    const ended = await home.endCopy(uuid);
    const replicated = ended?.replica.id === copy ? ended?.replicated : undefined;
    const states = await peers.map(giver, uuid, record.sizeBytes / 4096, { takeChanges: false });
    const inherited = inheritMap({
      states,
      nodes,
      giver: { ...giver, epoch: epoch - 1 },
      selfId: peers.self.id,
      own: present === undefined ? undefined : { states: present.states(), replicated: replicated ?? (() => false) },
    });
    if (present === undefined) {
      this.#inherited = { record, ...inherited };
      return;
    }
    // Blocks that were copied ahead are durable before a map says so.
    await present.footing.flush();
    await present.close();
    const { folder } = present;
    if (folder.record.sizeBytes < record.sizeBytes) await folder.resize(record.sizeBytes);
    if (folder.record.name !== record.name) folder.rename(record.name, record.renames);
    this.#inherited = { record, ...inherited, present: { folder, map: await folder.writeMap(epoch, inherited.states) } };
  }

  /**
   * Makes the change of ownership durable, and with it the map that was inherited.
   *
   * @param without index of a node that keeps nothing any more
   * @throws the system's error: everything is as before
   */
  persist(change: Partial<Ownership>, without?: string): undefined | Promise<void> {
    const inherited = this.#inherited;
    const { nodes: table, states, record, present } = inherited ?? {};
    if (inherited === undefined && this.#hosted !== undefined) {
      const { folder, state } = this.#hosted;
      const { [without ?? '']: _released, ...nodes } = state.nodes;
      folder.setState({ ...state, ...change, nodes });
      return undefined;
    }
    if (present !== undefined && table !== undefined) {
      const { folder, map } = present;
      folder.setState({ ...folder.state, ...change, nodes: table, map });
      folder.removeStaleMaps();
      this.#folder = folder;
      return undefined;
    }
    return this.#create(record ?? this.#record, change, table ?? {}, states);
  }

  async #create(record: DiskRecord, change: Partial<Ownership>, nodes: OwnerState['nodes'], states: Uint8Array | undefined): Promise<void> {
    const { diskDir, room } = this.#options.home;
    const state = { format: 1, state: 'owner', epoch: 1, ...change, nodes } as const;
    this.#folder = await DiskFolder.create(diskDir, record, state, states === undefined ? { room } : { states, room });
  }

  /** Opens the folder that was made, changed or let go of. Files that are open stay so. */
  async open(open = (folder: DiskFolder): Promise<HostedDisk> => this.#options.home.openHosted(folder)): Promise<void> {
    this.#inherited = undefined;
    if (this.#hosted?.isClosed === false) return;
    const folder = this.#folder ?? this.#left?.folder;
    this.#folder = undefined;
    this.#left = undefined;
    if (folder === undefined) throw new CopseError('ERR_BUSY', `disk "${this.#record.name}" has no files here to be opened`);
    await this.adopt(open(folder));
  }

  /** Opens what lies here of the disk, where a failure has closed it, or it could not be opened. */
  async reopen(): Promise<void> {
    this.#inherited = undefined;
    this.#folder = undefined;
    const { home } = this.#options;
    const { uuid } = this.#record;
    if (this.#hosted?.isClosed === false) return;
    this.#hosted = undefined;
    if (this.#isClosed || !home.hasFiles(uuid)) return;
    await this.adopt(home.reopen(uuid));
  }

  /**
   * Takes files that are opened elsewhere, unless the disk was closed meanwhile.
   *
   * @returns `same` for the files of before
   */
  async adopt(opening: Promise<HostedDisk | undefined>): Promise<'same' | undefined> {
    const hosted = await opening;
    if (this.#isClosed) {
      await hosted?.close().catch(() => {});
      throw new ClosedError(`disk "${this.#record.name}"`);
    }
    const isSame = hosted === this.#hosted;
    this.#hosted = hosted;
    this.#options.onOpen();
    return isSame ? 'same' : undefined;
  }

  /** Flushes and names what is here anew, before it is taken by force. */
  async prepareForce(record: DiskRecord): Promise<void> {
    this.#inherited = undefined;
    this.#record = record;
    const present = this.#hosted;
    if (present?.isClosed !== false) {
      this.#hosted = undefined;
      return;
    }
    await present.footing.flush();
    if (present.record.name !== record.name) present.folder.rename(record.name, record.renames);
  }

  /** From here on no session reaches the overlay. */
  letGo(record: DiskRecord): void {
    this.#record = record;
    this.#left = this.#hosted;
    this.#hosted = undefined;
  }

  async closeLeft(): Promise<void> {
    await this.#left?.close();
  }

  async removeLeft(): Promise<void> {
    const { folder } = this.#left ?? {};
    this.#left = undefined;
    await folder?.remove();
  }

  /** Files that were let go of, and not opened anew. */
  get left(): HostedDisk | undefined {
    return this.#left;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#hosted?.close();
  }

  /** No file is taken in from here on. */
  end(): void {
    this.#isClosed = true;
  }
}
