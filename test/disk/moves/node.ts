/** One node: a real registry over a real folder, what it answers, and its view of the others over slow links. */
import { join } from 'node:path';
import { waitFor } from '../../../src/base/deadline.js';
import { CopseError } from '../../../src/base/error.js';
import { silentLogger } from '../../../src/base/log.js';
import type { MemberView } from '../../../src/cluster/health/member-view.js';
import type { BlockDevice } from '../../../src/device/device.js';
import { KnownDisks } from '../../../src/disk/knowledge/known-disks.js';
import { DiskWatch } from '../../../src/disk/operate/watch.js';
import { DiskRegistry } from '../../../src/disk/owner/registry.js';
import { type AnswerOf, type ArgumentOf, type DiskMethod, diskCalls } from '../../../src/disk/protocol/call.js';
import type { NodeRef } from '../../../src/disk/protocol/record.js';
import type { BlockSource, RemoteNodes } from '../../../src/disk/protocol/remote-nodes.js';
import { DiskService } from '../../../src/disk/service/service.js';
import { DiskNotes } from '../../../src/disk/session/notes.js';
import { keptLog } from '../folder/sample.js';
import { LinkBlocks } from './link-blocks.js';
import { LinkMap } from './link-map.js';
import { LinkView } from './link-view.js';
import type { World } from './world.js';

/** As between daemons. */
const callMs = 20_000;
const pingMs = 1000;

type Statement = { uuid: string; epoch: number }[];

export class MovesNode implements RemoteNodes {
  readonly id: string;
  readonly dir: string;
  readonly registry: DiskRegistry;
  readonly service: DiskService;
  readonly lines: { text: string; fields: Record<string, unknown> }[];
  readonly #watch: DiskWatch;
  readonly #world: World;
  /** By node, as its last ping said. */
  readonly #statements = new Map<string, Statement>();
  /** Connections to maps that were made with views. */
  readonly ready = new LinkMap();
  #isClosed = false;

  constructor(world: World, id: string, dir: string) {
    this.#world = world;
    this.id = id;
    this.dir = dir;
    const { time: clock } = world;
    const { log, lines } = keptLog();
    this.lines = lines;
    const known = new KnownDisks(join(dir, 'disks-known.json'), silentLogger);
    this.registry = new DiskRegistry({
      diskDir: join(dir, 'disk'),
      notes: new DiskNotes({ path: join(dir, 'disk-notes.json'), isAlive: () => undefined }),
      known,
      peers: this,
      openBase: async () => undefined,
      defaultDeadlineMs: 30_000,
      clock,
      log: Object.assign(Object.create(silentLogger), { error: log.error, warn: log.warn }),
    });
    this.service = new DiskService(this.registry);
    this.#watch = new DiskWatch({ registry: this.registry, known, peers: this, members: () => this.#members(), clock, log: silentLogger });
  }

  async start(): Promise<void> {
    await this.registry.start();
    await this.#watch.start();
    this.#ping();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#watch.close();
    await this.registry.close();
  }

  /** What it says of itself when it is asked. */
  get statement(): Statement {
    return this.registry.exports.flatMap(({ record, hosted, isOwner }) =>
      isOwner && hosted !== undefined ? [{ uuid: record.uuid, epoch: hosted.state.epoch }] : [],
    );
  }

  // RemoteNodes.

  get self(): NodeRef {
    return { id: this.id, address: `${this.id}:1` };
  }

  isUp(id: string): boolean {
    return this.up().some((node) => node.id === id);
  }

  up(): NodeRef[] {
    return this.#others.map(({ self }) => self);
  }

  async call<M extends DiskMethod>(
    node: NodeRef,
    method: M,
    argument: ArgumentOf<M>,
    { timeoutMs = callMs }: { timeoutMs?: number } = {},
  ): Promise<AnswerOf<M>> {
    const { links, time } = this.#world;
    const work = async (): Promise<unknown> => {
      await links.shake(this.id, node.id, this.#world.shakesOf(method));
      return links.ask(this.id, node.id, method, () =>
        this.#world.node(node.id).service.call(method, overWire(argument), { caller: this.self }),
      );
    };
    const answer = await waitFor(method, work(), { timeoutMs, clock: time }).catch((error: unknown) => {
      if (error instanceof CopseError && error.code === 'ERR_DEADLINE') throw new CopseError('ERR_PEER_GONE', 'no answer in time');
      throw error;
    });
    return diskCalls[method].answer.parse(overWire(answer)) as AnswerOf<M>;
  }

  view(node: NodeRef, uuid: string, sizeBytes: number): BlockDevice {
    const asked = this.#world.node(node.id);
    const { links } = this.#world;
    void this.ready.make(this, asked, uuid, links);
    return new LinkView(sizeBytes, { links, from: this.id, to: node.id, open: () => asked.service.disk(uuid, this.id) });
  }

  blocks(node: NodeRef, uuid: string): BlockSource {
    const { links } = this.#world;
    return new LinkBlocks({ links, from: this.id, to: node.id, open: () => this.#world.node(node.id).service.blocks(uuid) });
  }

  map(node: NodeRef, uuid: string, blockCount: number, { takeChanges }: { takeChanges: boolean }): Promise<Uint8Array> {
    const { links } = this.#world;
    return this.ready.read(this, this.#world.node(node.id), uuid, {
      links,
      blockCount,
      takeChanges,
      shakeCount: this.#world.shakesOf('map'),
    });
  }

  announce(): void {}

  get #others(): MovesNode[] {
    return this.#world.nodes.filter(({ id }) => id !== this.id);
  }

  #members(): MemberView[] {
    return this.#others.map(({ self }) => ({ ...self, state: 'up', disks: this.#statements.get(self.id) ?? [] }));
  }

  /** Hears of the others each second. */
  #ping(): void {
    const { links, time } = this.#world;
    for (const other of this.#others) {
      void links.ask(this.id, other.id, 'ping', async () => other.statement).then((said) => this.#statements.set(other.id, said));
    }
    time.after(pingMs, () => {
      if (!this.#isClosed) this.#ping();
    });
  }
}

function overWire(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value ?? null));
}
