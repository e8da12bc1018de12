/** Answers the calls of other nodes about disks: the far side of `RemoteNodes`. */
import { CopseError, errorMessage } from '../../base/error.js';
import type { NativeOverlayFile } from '../../base/native/overlay.js';
import type { BlockDevice } from '../../device/device.js';
import { DiskFolder } from '../folder/folder.js';
import { Replica } from '../hosted/replica.js';
import { LiveView } from '../owner/live-view.js';
import { forcesOf, ownWord } from '../owner/own-word.js';
import type { DiskRegistry } from '../owner/registry.js';
import { type AnswerOf, type ArgumentOf, type DiskMethod, diskCalls } from '../protocol/call.js';
import { type Caller, requireCaller, requireMember } from '../protocol/caller.js';
import { refuseNewerDisk } from '../protocol/newer-disk.js';
import { admitAcceptance, admitCopy, admitForce, admitInvitation, admitResolve } from './admission.js';
import { latestOwner } from './latest-owner.js';

type Answers = { [M in DiskMethod]: (argument: ArgumentOf<M>, caller: Caller) => Promise<AnswerOf<M>> };

export class DiskService {
  readonly #registry: DiskRegistry;
  readonly #answers: Answers = {
    'disk.describe': (argument) => this.#describe(argument),
    'disk.epoch': async ({ uuids }) => ({ disks: uuids.flatMap((uuid) => latestOwner(this.#registry, uuid) ?? []) }),
    'disk.trace': async ({ uuid }) => ownWord(this.#registry, uuid),
    'disk.forces': async ({ uuids }) => ({ forces: forcesOf(this.#registry, uuids) }),
    'disk.forced': async (argument, caller) => admitForce(this.#registry, argument, caller),
    'disk.handover': async ({ uuid, to, reason }, caller) => {
      requireCaller(caller, to, 'disk.handover');
      return this.#require(uuid).grant(caller, reason);
    },
    'disk.accepted': async ({ uuid, epoch, by }, caller) => {
      admitAcceptance(this.#registry, { uuid, epoch, by }, caller);
      await this.#registry.get(uuid)?.accepted(epoch, caller);
      return {};
    },
    'disk.resolve': async ({ uuid, epoch }, caller) => {
      await admitResolve(this.#registry, { uuid, epoch }, caller);
      return { answer: await this.#registry.resolve(uuid, epoch) };
    },
    'disk.release': (argument, caller) => this.#release(argument, caller),
    'disk.invite': async (argument, caller) => {
      if (this.#registry.get(argument.uuid) === undefined) return { owner: false };
      await admitInvitation(this.#registry, argument.uuid, caller);
      return this.#invite(argument.uuid, argument.reason);
    },
    'disk.receive': async (argument, caller) => this.#receive(await admitCopy(this.#registry, argument, caller)),
    'disk.replica': async ({ uuid }) => this.#registry.replicas.get(uuid)?.progress ?? { state: 'none', doneBytes: 0, totalBytes: 0 },
  };

  constructor(registry: DiskRegistry) {
    this.#registry = registry;
  }

  /**
   * @throws CopseError `ERR_NO_SUCH_METHOD`, `ERR_NOT_MEMBER`, `ERR_ARGUMENT`, `ERR_DISK_FORMAT`;
   * the error of the method
   */
  async call(method: string, argument: unknown, { caller }: { caller: Caller | undefined }): Promise<unknown> {
    if (!isDiskMethod(method))
      throw new CopseError('ERR_NO_SUCH_METHOD', `this node knows no method "${method}": it may be older than the one that asks`);
    return this.#answer(method, argument, requireMember(caller, method));
  }

  /** The disk for clients of another node. That node counts as attached until `release`. */
  async disk(uuid: string, fromNodeId: string): Promise<{ device: BlockDevice; release(): void } | undefined> {
    const disk = this.#registry.get(uuid);
    if (disk === undefined || !disk.isOwner) return undefined;
    return { device: new LiveView(disk), release: disk.attachRemote(fromNodeId) };
  }

  /**
   * Blocks of the overlay here: a former owner's as they were, or the owner's as they are for a
   * copy ahead.
   */
  async blocks(uuid: string): Promise<{ overlay: NativeOverlayFile; sizeBytes: number; release(): void } | undefined> {
    const hosted = this.#registry.get(uuid)?.hosted;
    if (hosted === undefined) return undefined;
    return { overlay: hosted.overlay, sizeBytes: hosted.overlay.sizeBytes, release: () => {} };
  }

  async map(
    uuid: string,
    { takeChanges, fromNodeId }: { takeChanges: boolean; fromNodeId: string },
  ): Promise<{ blockCount: number; copy(target: Buffer): void; release(): void } | undefined> {
    const disk = this.#registry.get(uuid);
    const hosted = disk?.hosted;
    if (disk === undefined || hosted === undefined) return undefined;
    const copy = (target: Buffer): void => {
      // The node may read from the connection long after it was made.
      if (this.#registry.get(uuid) !== disk || disk.hosted !== hosted)
        throw new CopseError('ERR_NOT_OWNER', `disk "${disk.record.name}" is not what it was: ask for its map again`);
      // A round of a copy can cross with the handover to the same node. The map of the handover
      // must keep the marks, so this round reads them and takes none.
      const isMoving = hosted.state.to?.id === fromNodeId;
      if (takeChanges && !disk.isOwner && !isMoving)
        throw new CopseError('ERR_NOT_OWNER', `disk "${disk.record.name}": this node does not own it`);
      if (takeChanges && hosted.copy?.to !== fromNodeId) {
        throw new CopseError('ERR_NOT_OWNER', `disk "${disk.record.name}": changes are marked for no copy at node ${fromNodeId}`);
      }
      hosted.overlay.copyMap(target, 0, 0, hosted.blockCount, takeChanges && disk.isOwner);
    };
    return { blockCount: hosted.blockCount, copy, release: () => {} };
  }

  async #answer<M extends DiskMethod>(method: M, argument: unknown, caller: Caller): Promise<unknown> {
    refuseNewerDisk(argument);
    const parsed = diskCalls[method].argument.safeParse(argument);
    if (!parsed.success) throw new CopseError('ERR_ARGUMENT', `${method}: ${errorMessage(parsed.error)}`);
    const answer: (checked: ArgumentOf<M>, caller: Caller) => Promise<unknown> = this.#answers[method];
    return answer(parsed.data as ArgumentOf<M>, caller);
  }

  async #describe({ name, uuid }: ArgumentOf<'disk.describe'>): Promise<AnswerOf<'disk.describe'>> {
    const disk = uuid === undefined ? this.#registry.byName(name ?? '') : this.#registry.get(uuid);
    const hosted = disk?.hosted;
    if (hosted === undefined || hosted.isClosed) {
      const known = disk?.record.uuid ?? uuid;
      if (known === undefined || !this.#registry.hasFiles(known)) throw noSuchDisk(name ?? uuid);
      // The files are being changed or can't be opened. The disk is here all the same.
      throw new CopseError('ERR_BUSY', `this node has files of disk "${name ?? uuid}" that are not open just now: ask again`);
    }
    const { record, state, overlay } = hosted;
    if (state.state === 'incoming') throw noSuchDisk(name ?? uuid);
    const to = state.to && { id: state.to.id, address: state.to.address, accepted: state.to.accepted };
    return { record, state: state.state, epoch: state.epoch, to, dataBytes: overlay.dataBytes, forced: state.forced };
  }

  async #release({ uuid, epoch }: ArgumentOf<'disk.release'>, caller: Caller): Promise<Record<string, never>> {
    const disk = this.#registry.get(uuid);
    if (disk === undefined || !(await disk.release(epoch, caller))) return {};
    await this.#registry.drop(disk, () => {}, epoch);
    this.#registry.options.log.info({ disk: disk.record.name }, 'the disk has moved with all its blocks: the copy here is removed');
    return {};
  }

  async #invite(uuid: string, reason: ArgumentOf<'disk.invite'>['reason']): Promise<{ owner: boolean }> {
    const disk = this.#registry.get(uuid);
    if (disk === undefined) return { owner: false };
    // This node's clients have left, too.
    if (reason === 'idle' && disk.attachment.count === 0) return { owner: disk.isOwner };
    await disk.takeOver(reason);
    return { owner: disk.isOwner };
  }

  async #receive({ record, epoch, from, copy, nodes, touched }: ArgumentOf<'disk.receive'>): Promise<Record<string, never>> {
    const { diskDir, peers, clock, log } = this.#registry.options;
    if (peers === undefined) throw new CopseError('ERR_NOT_CLUSTERED', 'this node is in no cluster');
    const { uuid } = record;
    await this.#registry.exportOf(record).receive(async (present) => {
      await this.#registry.replicas.get(uuid)?.stop();
      if (present !== undefined && present.record.sizeBytes !== record.sizeBytes) {
        throw new CopseError(
          'ERR_SIZE',
          `disk "${record.name}" was resized since this node had it: it is moved without being copied ahead`,
        );
      }
      const hosted =
        present ??
        (await this.#registry.openHosted(await DiskFolder.create(diskDir, record, { format: 1, state: 'incoming', epoch, nodes: {} })));
      this.#registry.replicas.set(uuid, new Replica({ hosted, from, id: copy, nodes, peers, touched, clock, log }));
      return hosted;
    });
    return {};
  }

  #require(uuid: string) {
    const disk = this.#registry.get(uuid);
    if (disk === undefined) throw new CopseError('ERR_NO_SUCH_DISK', `this node has no disk ${uuid}`);
    return disk;
  }
}

function noSuchDisk(what: string | undefined): CopseError {
  return new CopseError('ERR_NO_SUCH_DISK', `this node has no disk "${what}"`);
}

function isDiskMethod(method: string): method is DiskMethod {
  return Object.hasOwn(diskCalls, method);
}
