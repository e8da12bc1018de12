/** One node of a room: its registry, what it answers, and the peers through which it asks. */
import { join } from 'node:path';
import { silentLogger } from '../../../src/base/log.js';
import type { MemberView } from '../../../src/cluster/health/member-view.js';
import type { BlockDevice } from '../../../src/device/device.js';
import { KnownDisks } from '../../../src/disk/knowledge/known-disks.js';
import { DiskWatch } from '../../../src/disk/operate/watch.js';
import type { DiskExport } from '../../../src/disk/owner/disk-export.js';
import { DiskRegistry } from '../../../src/disk/owner/registry.js';
import { type AnswerOf, type ArgumentOf, type DiskMethod, diskCalls } from '../../../src/disk/protocol/call.js';
import { refuseNewerDisk } from '../../../src/disk/protocol/newer-disk.js';
import type { NodeRef } from '../../../src/disk/protocol/record.js';
import type { BlockSource, RemoteNodes } from '../../../src/disk/protocol/remote-nodes.js';
import { DiskService } from '../../../src/disk/service/service.js';
import { DiskNotes } from '../../../src/disk/session/notes.js';
import { PeerBlocksDevice } from '../../../src/peer/server/blocks-device.js';
import { keptLog } from '../folder/sample.js';
import type { Room } from './room.js';
import { ScriptedView } from './view.js';

export class RoomNode implements RemoteNodes {
  readonly id: string;
  readonly dir: string;
  readonly registry: DiskRegistry;
  readonly service: DiskService;
  readonly watch: DiskWatch;
  readonly notes: DiskNotes;
  readonly lines: { text: string; fields: Record<string, unknown> }[];
  alive = true;
  /** What it says of itself beside what is so. */
  readonly claims: { uuid: string; epoch: number }[] = [];
  /** Where it goes on after it was killed. */
  nextDir: string | undefined;
  /** Resolves when it is killed. */
  readonly dead: Promise<void>;
  #onDeath: () => void = () => {};
  readonly #room: Room;

  constructor(room: Room, id: string, dir: string) {
    this.#room = room;
    this.id = id;
    this.dead = new Promise((resolve) => {
      this.#onDeath = resolve;
    });
    this.dir = dir;
    const { clock } = room;
    const { log, lines } = keptLog();
    this.lines = lines;
    const known = new KnownDisks(join(dir, 'disks-known.json'), silentLogger);
    this.notes = new DiskNotes({ path: join(dir, 'disk-notes.json'), isAlive: () => undefined });
    this.registry = new DiskRegistry({
      diskDir: join(dir, 'disk'),
      notes: this.notes,
      known,
      peers: this,
      openBase: async () => undefined,
      defaultDeadlineMs: 30_000,
      clock,
      log: Object.assign(Object.create(silentLogger), { error: log.error, warn: log.warn }),
    });
    this.service = new DiskService(this.registry);
    this.watch = new DiskWatch({ registry: this.registry, known, peers: this, members: () => this.#members(), clock, log: silentLogger });
  }

  async start(): Promise<void> {
    await this.registry.start();
  }

  die(nextDir: string): void {
    this.alive = false;
    this.nextDir = nextDir;
    this.#onDeath();
  }

  async close(): Promise<void> {
    this.alive = false;
    await this.registry.close();
  }

  get disk(): DiskExport | undefined {
    return this.registry.get(this.#room.uuid);
  }

  // RemoteNodes.

  get self(): NodeRef {
    return { id: this.id, address: `${this.id}:1` };
  }

  isUp(id: string): boolean {
    return this.up().some((node) => node.id === id);
  }

  up(): NodeRef[] {
    return this.#room.live.filter(({ id }) => id !== this.id).map(({ self }) => self);
  }

  async call<M extends DiskMethod>(node: NodeRef, method: M, argument: ArgumentOf<M>): Promise<AnswerOf<M>> {
    const answer = await this.#room.ask(this, node.id, method, async (asked) =>
      asked.service.call(method, overWire(argument), { caller: this.self }),
    );
    refuseNewerDisk(overWire(answer));
    return diskCalls[method].answer.parse(overWire(answer)) as AnswerOf<M>;
  }

  view(node: NodeRef, uuid: string, sizeBytes: number): BlockDevice {
    return new ScriptedView(sizeBytes, (what, work) =>
      this.#room.ask(this, node.id, what, async (asked) => work(await asked.service.disk(uuid, this.id))),
    );
  }

  blocks(node: NodeRef, uuid: string): BlockSource {
    return {
      read: (target, offset, { background } = {}) =>
        this.#room.ask(this, node.id, background ? 'blocks' : 'demand', async (asked) => {
          const served = await asked.service.blocks(uuid);
          if (served === undefined) throw new Error('it has no such disk');
          await new PeerBlocksDevice(served.overlay).read(target, offset);
        }),
      close: async () => {},
    };
  }

  map(node: NodeRef, uuid: string, blockCount: number, { takeChanges }: { takeChanges: boolean }): Promise<Uint8Array> {
    return this.#room.ask(this, node.id, takeChanges ? 'changes' : 'map', async (asked) => {
      const served = await asked.service.map(uuid, { takeChanges, fromNodeId: this.id });
      if (served === undefined || served.blockCount !== blockCount) throw new Error('it has no such map');
      const target = Buffer.alloc(blockCount);
      served.copy(target);
      return target;
    });
  }

  announce(): void {}

  #members(): MemberView[] {
    return this.#room.live
      .filter(({ id }) => id !== this.id)
      .map(({ self, registry, claims }) => ({
        ...self,
        state: 'up',
        disks: claims.concat(
          registry.exports.flatMap(({ record, hosted, isOwner }) =>
            isOwner && hosted !== undefined ? [{ uuid: record.uuid, epoch: hosted.state.epoch }] : [],
          ),
        ),
      }));
  }
}

function overWire(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value ?? null));
}
