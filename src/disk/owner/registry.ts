/**
 * All disks that this node has something to do with: those that it owns or owned, and those of other nodes that its clients are attached to.
 *
 * Invariant: of one uuid there is one export, and one folder. Who has waited with an export in hand takes the present one (`current`): the other may have been forgotten.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.js';
import { CopseError, errorCode, errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import type { NativeLease } from '../../base/native.js';
import { syncDirectory } from '../../base/replace-file.js';
import type { Room } from '../../base/room.js';
import { blockSize } from '../../device/block-size.js';
import type { ClientIdentity, Export, ExportView } from '../../server/export.js';
import { createExportMetrics } from '../../server/export-metrics.js';
import { DiskFolder } from '../folder/folder.js';
import type { DiskLosses } from '../folder/loss.js';
import { readOwnerFile } from '../folder/owner-file.js';
import { type DiskBase, HostedDisk } from '../hosted/hosted-disk.js';
import { inheritMap } from '../hosted/inherited-map.js';
import type { Replica } from '../hosted/replica.js';
import { ExportIndex } from '../knowledge/export-index.js';
import type { KnownDisk, KnownDisks } from '../knowledge/known-disks.js';
import type { LeaseKeeper } from '../lease/lease-keeper.js';
import type { AnswerOf, Handover } from '../protocol/call.js';
import { type DiskRecord, type NodeRef, type OwnerState, olderFirst } from '../protocol/record.js';
import type { DiskPeers } from '../protocol/remote-nodes.js';
import type { DiskNotes } from '../session/notes.js';
import { diskFeatures } from '../session/session.js';
import { HandoverDecisions } from './decision.js';
import { DiskExport, type DiskHome } from './disk-export.js';

export interface DiskRegistryOptions {
  diskDir: string;
  notes: DiskNotes;
  losses?: DiskLosses | undefined;
  /** Makes room on the file system of the disks. */
  room?: Room | undefined;
  known: KnownDisks;
  /** Absent on a single host. */
  peers: DiskPeers | undefined;
  /** Absent on a single host. */
  leases?: LeaseKeeper<NativeLease> | undefined;
  openBase(record: DiskRecord): Promise<DiskBase | undefined>;
  defaultDeadlineMs: number;
  clock: Clock;
  log: Logger;
}

/** A disk that somebody knows, and its owner, unless it is between two nodes. */
interface Asked {
  record: DiskRecord;
  owner?: { node: NodeRef; epoch: number };
}

/** How often ownership is followed from node to node before the search is given up. */
const mostHops = 8;
const askMs = 2000;

export class DiskRegistry implements DiskHome {
  readonly options: DiskRegistryOptions;
  /** Copies that are made here ahead of a handover, by uuid. */
  readonly replicas = new Map<string, Replica>();
  readonly decisions: HandoverDecisions;
  readonly #exports = new ExportIndex<DiskExport>();

  constructor(options: DiskRegistryOptions) {
    this.options = options;
    options.known.onName = (uuid) => this.#exports.touch(uuid);
    this.decisions = new HandoverDecisions({ notes: options.notes, heldEpoch: (uuid) => this.#durablyHeldEpoch(uuid) });
  }

  get exports(): DiskExport[] {
    return this.#exports.sorted.filter((disk) => this.#isThere(disk));
  }

  /** How many exports there are at most. Disks of other nodes that this node's clients are attached to count twice. */
  get exportCount(): number {
    return this.#exports.size + this.options.known.size;
  }

  /** Opens what lies on this host's disk. What can't be opened is logged and keeps no other from its guests. */
  async start(): Promise<void> {
    const { diskDir, log, room } = this.options;
    for (const folder of DiskFolder.list(diskDir, log, room)) {
      if (folder.state.state === 'incoming') {
        await folder.remove();
        continue;
      }
      await this.host(folder).catch((error: unknown) => {
        log.error(
          { disk: folder.record.name, folder: folder.path, reason: errorMessage(error) },
          'this disk is not served: remove what is in the way and start again',
        );
      });
    }
  }

  get(uuid: string): DiskExport | undefined {
    return this.#exports.get(uuid);
  }

  /** True if a disk of that name is here, or known to be elsewhere. */
  has(name: string): boolean {
    return this.byName(name) !== undefined || this.options.known.byName(name) !== undefined;
  }

  /** This node's own first, then those that others own. */
  byName(name: string): DiskExport | undefined {
    const named = this.#exports
      .named(name)
      .filter((disk) => this.#isThere(disk) && disk.hosted?.state.state !== 'incoming')
      .sort((left, right) => olderFirst(left.record, right.record));
    return named.find(({ isOwner }) => isOwner) ?? named[0];
  }

  /** The disk of that name, here or known to be elsewhere. */
  find(name: string): DiskExport | undefined {
    const here = this.byName(name);
    if (here !== undefined) return here;
    const known = this.options.known.byName(name);
    const disk = known === undefined ? undefined : this.exportOf(known.record);
    // This node may know better what it is named now.
    return disk?.record.name === name ? disk : undefined;
  }

  /** The disk that another node owns, as it is known here. */
  elsewhere(uuid: string): DiskExport | undefined {
    const known = this.options.known.get(uuid);
    return known === undefined ? undefined : this.exportOf(known.record);
  }

  /** The export of a disk as of now, for who has waited since it was looked up. */
  current({ record }: DiskExport): DiskExport {
    return this.exportOf(record);
  }

  /** As `find`; asks the nodes that answer when nothing is known. */
  async search(name: string): Promise<DiskExport | undefined> {
    const here = this.find(name);
    if (here !== undefined) return here;
    const asked = await this.#ask({ name });
    // What was known of it may have been forgotten by now: its old owner knows it no more, its new one not yet.
    return this.find(name) ?? (asked && this.exportOf(asked.record));
  }

  /** @throws CopseError `ERR_NO_SUCH_DISK` */
  async require(name: string): Promise<DiskExport> {
    const found = await this.search(name);
    if (found !== undefined) return found;
    throw new CopseError('ERR_NO_SUCH_DISK', `there is no disk "${name}": "copse disk ls" lists those that there are`);
  }

  /** One entry for each name, as the caller goes on: disks may come and go meanwhile. */
  *list(): Iterable<{ name: string; description: string }> {
    const names = new Set<string>();
    for (const disk of this.exports) {
      if (!disk.isOwner && disk.attachment.count === 0) continue;
      const { record } = disk;
      if (names.has(record.name)) continue;
      names.add(record.name);
      yield { name: record.name, description: describe(record) };
    }
    const { known } = this.options;
    for (const { record } of known.list()) {
      // Of one name the older disk is served, unless this node owns the other one.
      if (names.has(record.name) || known.byName(record.name)?.record !== record) continue;
      names.add(record.name);
      yield { name: record.name, description: describe(record) };
    }
  }

  /**
   * A disk as a client is told of it that only asks. Nobody is attached, and no node is asked: the size of another node's disk
   * is as that node said it last.
   */
  view({ record }: DiskExport): ExportView {
    const { sizeBytes, multiConn } = record;
    return { name: record.name, description: describe(record), device: { sizeBytes, blockSize, features: diskFeatures(multiConn) } };
  }

  async attach(disk: DiskExport, client: ClientIdentity): Promise<Export> {
    // Its owner says how large it is now; when it does not answer, what it said last has to do.
    if (!disk.isOwner) await this.locate(disk.record.uuid, disk.record.name).catch(() => {});
    const present = this.current(disk);
    const session = present.attach(client);
    this.changed();
    return {
      name: present.record.name,
      description: describe(present.record),
      device: session,
      deadlineMs: this.deadlineMsOf(present.record),
      metrics: present.metrics,
      release: () => void session.close(),
    };
  }

  deadlineMsOf(record: DiskRecord): number {
    return record.deadlineMs ?? this.options.defaultDeadlineMs;
  }

  /** Opens a folder and serves it. */
  async host(folder: DiskFolder): Promise<DiskExport> {
    const disk = this.exportOf(folder.record);
    await disk.host(() => this.openHosted(folder));
    return disk;
  }

  openHosted(folder: DiskFolder): Promise<HostedDisk> {
    return HostedDisk.open(folder, this.options);
  }

  /** The blocks of this node go, for good. @param check throws what is in the way, at the moment when nothing can come between any more */
  async drop(disk: DiskExport, check: (hosted: HostedDisk) => void): Promise<void> {
    const { uuid } = disk.record;
    await disk.abandon(async (hosted) => {
      check(hosted);
      await this.#endCopy(uuid);
      check(hosted);
      const { state, folder } = hosted;
      if (state.state !== 'incoming') this.options.notes.hold(uuid, state.epoch, state.state === 'granted' ? state.to : undefined);
      return () => folder.remove();
    });
    this.idle(disk);
    this.changed();
  }

  /** Ends a copy that is made ahead, if there is one. Its blocks stay where they are. */
  async #endCopy(uuid: string): Promise<{ replica: Replica; replicated(block: number): boolean } | undefined> {
    const replica = this.replicas.get(uuid);
    this.replicas.delete(uuid);
    return replica && { replica, replicated: await replica.stop() };
  }

  /** The last epoch under which this node owned the disk or still does; 0: it never did. @throws what reading its owner file fails with: then nobody can tell */
  heldEpoch(uuid: string): number {
    const { diskDir, notes } = this.options;
    const held = notes.heldEpoch(uuid);
    const hosted = this.#exports.get(uuid)?.hosted;
    // Files that could not be opened, or are being changed, count too.
    const ownerPath = join(diskDir, uuid, 'owner.json');
    if (hosted === undefined && !existsSync(ownerPath)) return held;
    const { state, epoch } = hosted?.state ?? readOwnerFile(ownerPath).state;
    return state === 'incoming' ? held : Math.max(held, epoch);
  }

  /** As `heldEpoch`; what files say that nobody has open is durable when it returns. */
  #durablyHeldEpoch(uuid: string): number {
    const { diskDir } = this.options;
    if (this.#exports.get(uuid)?.hosted === undefined && this.hasFiles(uuid)) {
      syncDirectory(join(diskDir, uuid));
      syncDirectory(diskDir);
    }
    return this.heldEpoch(uuid);
  }

  hasFiles(uuid: string): boolean {
    return existsSync(join(this.options.diskDir, uuid, 'owner.json'));
  }

  async close(): Promise<void> {
    for (const replica of this.replicas.values()) await replica.stop();
    const results = await Promise.allSettled(this.#exports.sorted.map((disk) => disk.close()));
    for (const result of results) {
      if (result.status === 'rejected') this.options.log.error({ reason: errorMessage(result.reason) }, 'a disk did not close cleanly');
    }
  }

  // What an export asks.

  async locate(uuid: string, name: string): Promise<NodeRef> {
    const { peers, known } = this.options;
    if (peers === undefined)
      throw new CopseError('ERR_OWNER_UNREACHABLE', `disk "${name}" is on another node, and this node is in no cluster`);
    const { state } = this.#exports.get(uuid)?.hosted ?? {};
    const told = known.get(uuid);
    const selfId = peers.self.id;
    let node = state?.to;
    if (told !== undefined && told.owner.id !== selfId && (state === undefined || told.epoch > state.epoch + 1)) {
      node = { ...told.owner, accepted: true };
    }
    const leastEpoch = told?.epoch ?? 0;
    const followed = await this.#follow(peers, node, uuid, leastEpoch);
    if (followed.owner !== undefined) return followed.owner;
    const { trouble } = followed;
    const owner = (await this.#ask({ uuid }))?.owner;
    if (owner !== undefined && owner.epoch >= leastEpoch) return owner.node;
    const last = known.get(uuid)?.owner.id ?? state?.to?.id;
    const why = trouble === undefined ? '' : ` (${errorMessage(trouble)})`;
    throw new CopseError(
      'ERR_OWNER_UNREACHABLE',
      last === undefined
        ? `disk "${name}": no node that answers owns it`
        : `disk "${name}" is owned by node ${last}, which does not answer: its blocks are there, so it can't be had before that node is back${why}`,
    );
  }

  /** Goes from node to node, to whom each has handed the disk. */
  async #follow(
    peers: DiskPeers,
    first: NodeRef | undefined,
    uuid: string,
    leastEpoch: number,
  ): Promise<{ owner?: NodeRef; trouble?: unknown }> {
    let node = first;
    let latestEpoch = 0;
    for (let hop = 0; node !== undefined && hop < mostHops; hop += 1) {
      let answer: AnswerOf<'disk.describe'>;
      try {
        answer = await peers.call(node, 'disk.describe', { uuid }, { timeoutMs: askMs });
      } catch (trouble) {
        return { trouble };
      }
      // What an owner does not know that lost the disk by force.
      if (answer.state === 'owner' && answer.epoch < leastEpoch) break;
      if (answer.state === 'owner') return { owner: this.#learn(node, answer) };
      // It answers the same again.
      if (this.#isForThisNode(answer) && answer.epoch + 1 >= leastEpoch) return { owner: node };
      // It has handed the disk on once, and was given it again since, which it has not accepted yet.
      if (answer.epoch < latestEpoch) break;
      latestEpoch = answer.epoch;
      node = answer.to?.id === peers.self.id ? undefined : answer.to;
    }
    return {};
  }

  async accept(handover: Handover, giver: NodeRef, present: HostedDisk | undefined): Promise<HostedDisk> {
    // Until it has ended, and is durable or not, nobody is told that it never will be.
    const end = this.decisions.begin(handover.record.uuid, handover.epoch);
    try {
      return await this.#accept(handover, giver, present);
    } finally {
      end();
    }
  }

  async #accept({ epoch, record, nodes, copy, forced }: Handover, giver: NodeRef, present: HostedDisk | undefined): Promise<HostedDisk> {
    const { peers, diskDir, room } = this.options;
    const { uuid } = record;
    if (peers === undefined) throw new CopseError('ERR_NOT_CLUSTERED', 'this node is in no cluster');
    if (present !== undefined && present.record.sizeBytes > record.sizeBytes) {
      throw new CopseError(
        'ERR_SIZE',
        `disk "${record.name}" is smaller than what this node has of it: remove that first ("copse disk rm")`,
      );
    }
    const ended = await this.#endCopy(uuid);
    const replicated = ended?.replica.id === copy ? ended?.replicated : undefined;
    const states = await peers.map(giver, uuid, record.sizeBytes / 4096, { takeChanges: false });
    const inherited = inheritMap({
      states,
      nodes,
      giver: { ...giver, epoch: epoch - 1 },
      selfId: peers.self.id,
      own: present === undefined ? undefined : { states: present.states(), replicated: replicated ?? (() => false) },
    });
    const by = { id: giver.id, epoch: epoch - 1 };
    const state: Omit<OwnerState, 'map' | 'data'> = { format: 1, state: 'owner', epoch, nodes: inherited.nodes, forced, by };
    if (present === undefined) return this.openHosted(await DiskFolder.create(diskDir, record, state, { states: inherited.states, room }));
    // What was copied ahead has to be durable before a map says so.
    await present.footing.flush();
    await present.close();
    const { folder } = present;
    if (folder.record.sizeBytes < record.sizeBytes) await folder.resize(record.sizeBytes);
    if (folder.record.name !== record.name) folder.rename(record.name, record.renames);
    const map = await folder.writeMap(epoch, inherited.states);
    folder.setState({ ...folder.state, ...state, map, to: undefined });
    folder.removeStaleMaps();
    return this.openHosted(folder);
  }

  async reopen(uuid: string): Promise<HostedDisk | undefined> {
    const { diskDir, log } = this.options;
    const path = join(diskDir, uuid);
    if (!existsSync(path)) return undefined;
    // What failed may have been just that.
    syncDirectory(path);
    syncDirectory(diskDir);
    return this.openHosted(new DiskFolder(path, log, this.options.room));
  }

  latest(uuid: string): KnownDisk | undefined {
    return this.options.known.get(uuid);
  }

  changed(disk?: DiskExport): void {
    if (disk !== undefined) this.#exports.touch(disk.record.uuid);
    this.options.peers?.announce();
  }

  idle(disk: DiskExport): void {
    const { uuid } = disk.record;
    if (this.#exports.get(uuid) !== disk) return;
    if (disk.hosted !== undefined || disk.attachment.count > 0 || disk.isBusy || this.hasFiles(uuid)) return;
    disk.forget();
    this.#exports.delete(uuid);
  }

  /** Asks all nodes that answer whose disk it is. */
  async #ask(question: { name: string } | { uuid: string }): Promise<Asked | undefined> {
    const { peers } = this.options;
    if (peers === undefined) return undefined;
    const answers = await Promise.all(
      peers.up().map(async (node) => {
        try {
          return { node, answer: await peers.call(node, 'disk.describe', question, { timeoutMs: askMs }) };
        } catch (error) {
          if (errorCode(error) !== 'ERR_NO_SUCH_DISK')
            this.options.log.debug({ node: node.id, reason: errorMessage(error) }, 'no word of a disk from there');
          return undefined;
        }
      }),
    );
    // Of the one with the latest word: the owner, or who handed it to this node, which has not got it.
    const found = answers.flatMap((one) => {
      if (one?.answer.state === 'owner') return [{ ...one, epoch: one.answer.epoch }];
      return one !== undefined && this.#isForThisNode(one.answer) ? [{ ...one, epoch: one.answer.epoch + 1 }] : [];
    });
    const oldest = found.map(({ answer }) => answer.record).sort(olderFirst)[0]?.uuid;
    const [best] = found.filter(({ answer }) => answer.record.uuid === oldest).sort((left, right) => right.epoch - left.epoch);
    if (best === undefined) return this.#onItsWay(peers, answers);
    return { record: best.answer.record, owner: { node: this.#learn(best.node, best.answer), epoch: best.epoch } };
  }

  /** It was handed to this node, which has not accepted it yet. */
  #isForThisNode({ state, to, epoch, record }: AnswerOf<'disk.describe'>): boolean {
    return state === 'granted' && to?.id === this.options.peers?.self.id && epoch >= this.heldEpoch(record.uuid);
  }

  #learn(node: NodeRef, { record, epoch, dataBytes, forced }: AnswerOf<'disk.describe'>): NodeRef {
    const { id, address } = node;
    this.options.known.offer({ record, owner: { id, address }, epoch, dataBytes, forced });
    return { id, address };
  }

  /** One that nobody said to own was handed over, and was asked for at its old place too late, and at its new one too early. */
  async #onItsWay(peers: DiskPeers, answers: ({ answer: AnswerOf<'disk.describe'> } | undefined)[]): Promise<Asked | undefined> {
    const { known } = this.options;
    const granted = answers.flatMap((one) => (one?.answer.to === undefined ? [] : [one.answer]));
    const [latest] = granted.sort((left, right) => right.epoch - left.epoch);
    if (latest?.to === undefined || latest.to.id === peers.self.id) return undefined;
    const { record, to, dataBytes, forced } = latest;
    const epoch = latest.epoch + 1;
    const { owner } = await this.#follow(peers, to, record.uuid, epoch);
    if (owner !== undefined) return { record, owner: { node: owner, epoch: known.get(record.uuid)?.epoch ?? epoch } };
    if (to.accepted !== false) return undefined;
    // It is there in a moment, or back at its old place.
    known.offer({ record, owner: { id: to.id, address: to.address }, epoch, dataBytes, forced });
    return { record };
  }

  /** False for an export that was only looked at: its disk is on no node any more. */
  #isThere({ hosted, attachment, isBusy, record }: DiskExport): boolean {
    return hosted !== undefined || attachment.count > 0 || isBusy || this.options.known.get(record.uuid) !== undefined;
  }

  /** Made when there is none. */
  exportOf(record: DiskRecord): DiskExport {
    const known = this.#exports.get(record.uuid);
    if (known !== undefined) return known;
    const { notes, peers, leases, room, clock, log } = this.options;
    const disk = new DiskExport({ record, metrics: createExportMetrics(), home: this, notes, peers, leases, room, clock, log });
    this.#exports.set(record.uuid, disk);
    return disk;
  }
}

function describe(record: DiskRecord): string {
  return record.image === undefined ? 'disk' : `disk over image ${record.image.name}`;
}
