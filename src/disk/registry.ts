/**
 * All disks that this node has something to do with: those that it owns or owned, and those of other nodes that its clients are attached to.
 *
 * Invariant: of one uuid there is one export, and one folder.
 */
import type { Clock } from '../base/clock.js';
import { CopseError, errorCode, errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';
import type { ClientIdentity, Export } from '../server/export.js';
import { createExportMetrics } from '../server/export-metrics.js';
import { DiskExport, type DiskHome } from './disk-export.js';
import { DiskFolder } from './folder.js';
import { type DiskBase, HostedDisk } from './hosted-disk.js';
import { inheritMap } from './inherited-map.js';
import type { KnownDisks } from './known-disks.js';
import type { DiskNotes } from './notes.js';
import type { DiskPeers } from './peers.js';
import type { AnswerOf, Handover } from './protocol.js';
import type { DiskRecord, NodeRef, OwnerState } from './record.js';
import type { Replica } from './replica.js';

export interface DiskRegistryOptions {
  diskDir: string;
  notes: DiskNotes;
  known: KnownDisks;
  /** Absent on a single host. */
  peers: DiskPeers | undefined;
  openBase(record: DiskRecord): Promise<DiskBase | undefined>;
  defaultDeadlineMs: number;
  clock: Clock;
  log: Logger;
}

/** How often ownership is followed from node to node before the search is given up. */
const mostHops = 8;
const askMs = 2000;

export class DiskRegistry implements DiskHome {
  readonly options: DiskRegistryOptions;
  /** Copies that are made here ahead of a handover, by uuid. */
  readonly replicas = new Map<string, Replica>();
  readonly #exports = new Map<string, DiskExport>();

  constructor(options: DiskRegistryOptions) {
    this.options = options;
  }

  get exports(): DiskExport[] {
    return [...this.#exports.values()].sort((left, right) => (left.record.name < right.record.name ? -1 : 1));
  }

  /** Opens what lies on this host's disk. What can't be opened is logged and keeps no other from its guests. */
  async start(): Promise<void> {
    const { diskDir, log } = this.options;
    for (const folder of DiskFolder.list(diskDir, log)) {
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

  /** This node's own first, then those that others own. */
  byName(name: string): DiskExport | undefined {
    const named = this.exports.filter(({ record, hosted }) => record.name === name && hosted?.state.state !== 'incoming');
    return named.find(({ isOwner }) => isOwner) ?? named[0];
  }

  /** The disk of that name, here or known to be elsewhere. */
  find(name: string): DiskExport | undefined {
    const here = this.byName(name);
    if (here !== undefined) return here;
    const known = this.options.known.byName(name);
    return known === undefined ? undefined : this.#exportOf(known.record, undefined);
  }

  /** As `find`; asks the nodes that answer when nothing is known. */
  async search(name: string): Promise<DiskExport | undefined> {
    return this.find(name) ?? ((await this.#ask({ name })) === undefined ? undefined : this.find(name));
  }

  /** @throws CopseError `ERR_NO_SUCH_DISK` */
  async require(name: string): Promise<DiskExport> {
    const found = await this.search(name);
    if (found !== undefined) return found;
    throw new CopseError('ERR_NO_SUCH_DISK', `there is no disk "${name}": "copse disk ls" lists those that there are`);
  }

  list(): { name: string; description: string }[] {
    const here = this.exports.filter(({ isOwner, attachment }) => isOwner || attachment.count > 0).map(({ record }) => record);
    const elsewhere = this.options.known.list().map(({ record }) => record);
    const names = new Map([...elsewhere, ...here].map((record) => [record.name, record]));
    return [...names.values()].map((record) => ({ name: record.name, description: describe(record) }));
  }

  attach(disk: DiskExport, client: ClientIdentity): Export {
    const session = disk.attach(client);
    this.changed();
    return {
      name: disk.record.name,
      description: describe(disk.record),
      device: session,
      deadlineMs: this.deadlineMsOf(disk.record),
      metrics: disk.metrics,
      release: () => void session.close(),
    };
  }

  deadlineMsOf(record: DiskRecord): number {
    return record.deadlineMs ?? this.options.defaultDeadlineMs;
  }

  /** Opens a folder and serves it. */
  async host(folder: DiskFolder): Promise<DiskExport> {
    const hosted = await this.openHosted(folder);
    const disk = this.#exports.get(folder.record.uuid);
    if (disk === undefined) return this.#exportOf(folder.record, hosted);
    disk.adopt(hosted);
    return disk;
  }

  openHosted(folder: DiskFolder): Promise<HostedDisk> {
    return HostedDisk.open(folder, this.options);
  }

  /** The blocks of this node go, for good. */
  async drop(disk: DiskExport): Promise<void> {
    const folder = disk.hosted?.folder;
    await this.replicas.get(disk.record.uuid)?.stop();
    this.replicas.delete(disk.record.uuid);
    await disk.abandon();
    await folder?.remove();
    this.idle(disk);
    this.changed();
  }

  async close(): Promise<void> {
    for (const replica of this.replicas.values()) await replica.stop();
    const results = await Promise.allSettled(this.exports.map((disk) => disk.close()));
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
    let node = state?.to;
    if (told !== undefined && (state === undefined || told.epoch > state.epoch + 1)) node = { ...told.owner, accepted: true };
    const leastEpoch = told?.epoch ?? 0;
    let trouble: unknown;
    for (let hop = 0; node !== undefined && hop < mostHops; hop += 1) {
      let answer: AnswerOf<'disk.describe'>;
      try {
        answer = await peers.call(node, 'disk.describe', { uuid }, { timeoutMs: askMs });
      } catch (error) {
        trouble = error;
        break;
      }
      // What an owner does not know that lost the disk by force.
      if (answer.state === 'owner' && answer.epoch < leastEpoch) break;
      if (answer.state === 'owner') return this.#learn(node, answer);
      node = answer.to === undefined || answer.to.id === peers.self.id ? undefined : { ...answer.to, accepted: true };
    }
    const owner = await this.#ask({ uuid });
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

  async accept({ epoch, record, nodes }: Handover, giver: NodeRef): Promise<HostedDisk> {
    const { peers, diskDir, notes } = this.options;
    const { uuid } = record;
    if (peers === undefined) throw new CopseError('ERR_NOT_CLUSTERED', 'this node is in no cluster');
    if (notes.refusedEpoch(uuid) >= epoch) {
      throw new CopseError('ERR_NOT_OWNER', `disk "${record.name}": this node has promised not to accept epoch ${epoch}`);
    }
    const present = this.#exports.get(uuid)?.hosted;
    const replica = this.replicas.get(uuid);
    this.replicas.delete(uuid);
    const replicated = replica?.from.id === giver.id ? await replica.stop() : () => false;
    const states = await peers.map(giver, uuid, record.sizeBytes / 4096, { takeChanges: false });
    const inherited = inheritMap({
      states,
      nodes,
      giver: { ...giver, epoch: epoch - 1 },
      selfId: peers.self.id,
      own: present === undefined ? undefined : { states: present.states(), replicated },
    });
    const state: Omit<OwnerState, 'map' | 'data'> = { format: 1, state: 'owner', epoch, nodes: inherited.nodes };
    if (present === undefined) return this.openHosted(await DiskFolder.create(diskDir, record, state, { states: inherited.states }));
    const { folder } = present;
    // What was copied ahead has to be durable before a map says so.
    await present.overlay.flush();
    await present.close();
    if (folder.record.sizeBytes < record.sizeBytes) await folder.resize(record.sizeBytes);
    const map = await folder.writeMap(epoch, inherited.states);
    folder.setState({ ...folder.state, ...state, map, to: undefined });
    return this.openHosted(folder);
  }

  changed(): void {
    this.options.peers?.announce();
  }

  idle(disk: DiskExport): void {
    if (disk.hosted !== undefined || disk.attachment.count > 0) return;
    if (this.#exports.get(disk.record.uuid) === disk) this.#exports.delete(disk.record.uuid);
  }

  /** Asks all nodes that answer whose disk it is. */
  async #ask(question: { name: string } | { uuid: string }): Promise<{ node: NodeRef; epoch: number } | undefined> {
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
    const owners = answers.flatMap((one) => (one?.answer.state === 'owner' ? [one] : []));
    const [best] = owners.sort((left, right) => right.answer.epoch - left.answer.epoch);
    if (best === undefined) return undefined;
    return { node: this.#learn(best.node, best.answer), epoch: best.answer.epoch };
  }

  #learn(node: NodeRef, { record, epoch, dataBytes }: AnswerOf<'disk.describe'>): NodeRef {
    const { id, address } = node;
    this.options.known.offer({ record, owner: { id, address }, epoch, dataBytes });
    return { id, address };
  }

  #exportOf(record: DiskRecord, hosted: HostedDisk | undefined): DiskExport {
    const known = this.#exports.get(record.uuid);
    if (known !== undefined) return known;
    const { notes, peers, clock, log } = this.options;
    const disk = new DiskExport({ record, hosted, metrics: createExportMetrics(), home: this, notes, peers, clock, log });
    this.#exports.set(record.uuid, disk);
    return disk;
  }
}

function describe(record: DiskRecord): string {
  return record.image === undefined ? 'disk' : `disk over image ${record.image.name}`;
}
