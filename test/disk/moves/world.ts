/**
 * Nodes in one process, with one disk, over slow links; and what must hold whenever a message arrives.
 *
 * Checked: at most one folder says `owner`; an epoch is one node's; a node whose folder says `owner` serves the disk or
 * says that it is busy with it.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../../../src/base/error.js';
import { blockBytes } from '../../../src/base/native/overlay.js';
import { DiskFolder } from '../../../src/disk/folder/folder.js';
import { readOwnerFile } from '../../../src/disk/folder/owner-file.js';
import type { DiskRecord, OwnerState } from '../../../src/disk/protocol/record.js';
import { memoryPlace } from '../../support/memory-dir.js';
import { Links } from './link.js';
import { MovesNode } from './node.js';
import type { Random } from './random.js';
import type { RealWork } from './real-work.js';
import { VirtualTime } from './virtual-time.js';

export const blockCount = 16;
export const diskName = 'vm';

export class World {
  readonly time: VirtualTime;
  readonly links: Links;
  readonly uuid = randomUUID();
  readonly random: Random;
  readonly nodes: MovesNode[] = [];
  /** What must never be, and was. */
  readonly wrong: string[] = [];
  /** Acceptances that former owners heard of. */
  moveCount = 0;
  /** Of all messages, in order: two runs of one seed that are the same have the same. */
  readonly trace = createHash('sha256');
  /** The latest messages, for people. */
  readonly recent: string[] = [];
  readonly #dir = mkdtempSync(join(memoryPlace(), 'copse-moves-'));
  readonly #ownerOf = new Map<number, string>();
  readonly #waiting = new Set<{ what: string; resolve: () => void }>();
  #lastStates = '';

  constructor(random: Random, work: RealWork) {
    this.random = random;
    this.time = new VirtualTime(work);
    this.links = new Links(this.time, work);
    this.links.onArrival = ({ from, to, what }) => {
      if (what === 'disk.accepted') this.moveCount += 1;
      if (what.startsWith('ping')) return;
      const line = `${Math.round(this.time.nowMs())} ${from}>${to} ${what}`;
      this.trace.update(line);
      this.recent.push(line);
      if (this.recent.length > 80) this.recent.shift();
      for (const waiting of this.#waiting) if (waiting.what === what) waiting.resolve();
      this.look();
    };
  }

  async start(ids: readonly string[]): Promise<void> {
    for (const [index, id] of ids.entries()) {
      if (index === 0)
        await DiskFolder.create(join(this.#dir, id, 'disk'), this.#record, { format: 1, state: 'owner', epoch: 1, nodes: {} });
      await this.#begin(id);
    }
  }

  /** All registries end, and begin again from their folders. */
  async restart(): Promise<void> {
    const ids = this.nodes.map(({ id }) => id);
    for (const node of this.nodes) await this.time.during('a node ends', node.close());
    this.nodes.length = 0;
    for (const id of ids) await this.#begin(id);
  }

  async close(): Promise<void> {
    for (const node of this.nodes) await this.time.during('a node ends', node.close());
    rmSync(this.#dir, { recursive: true, force: true });
  }

  node(id: string): MovesNode {
    const found = this.nodes.find((node) => node.id === id);
    if (found === undefined) throw new Error(`there is no node ${id}`);
    return found;
  }

  /** Round trips that go before a question: of a connection that has to be made first. */
  shakesOf(what: string): number {
    return this.random.below(what === 'map' ? 4 : 3);
  }

  /** Resolves when such a message arrives, or after the time. */
  async arrival(what: string, maxMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const waiting = { what, resolve };
      this.#waiting.add(waiting);
      this.time.after(maxMs, resolve);
    }).finally(() => {
      for (const waiting of this.#waiting) if (waiting.what === what) this.#waiting.delete(waiting);
    });
  }

  stateOf({ dir }: MovesNode): OwnerState | undefined {
    try {
      return readOwnerFile(join(dir, 'disk', this.uuid, 'owner.json')).state;
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  owners(): string[] {
    return this.nodes.flatMap((node) => {
      const state = this.stateOf(node);
      return state?.state === 'owner' ? [`${node.id}@${state.epoch}`] : [];
    });
  }

  look(): void {
    const owners = this.owners();
    const states = owners.join(' ');
    if (states === this.#lastStates) return;
    this.#lastStates = states;
    if (owners.length > 1) this.fault(`two owners: ${states}`);
    for (const owner of owners) {
      const [id = '', epoch] = owner.split('@');
      const known = this.#ownerOf.get(Number(epoch)) ?? id;
      if (known !== id) this.fault(`epoch ${epoch} was ${known}'s and is ${id}'s`);
      this.#ownerOf.set(Number(epoch), id);
    }
  }

  /** Whether a disk that is on this host is known to its daemon. */
  async lookForVanished(): Promise<void> {
    for (const node of this.nodes) {
      if (this.stateOf(node)?.state !== 'owner') continue;
      const code = await node.service.call('disk.describe', { uuid: this.uuid }, { caller: node.self }).then(() => undefined, errorCode);
      if (code === 'ERR_NO_SUCH_DISK' && this.stateOf(node)?.state === 'owner')
        this.fault(`node ${node.id} owns the disk and knows of none`);
    }
  }

  fault(text: string): void {
    this.wrong.push(`${text} (after ${this.moveCount} moves, at ${Math.round(this.time.nowMs())} ms)`);
  }

  get #record(): DiskRecord {
    const sizeBytes = blockCount * blockBytes;
    const createdAt = '2026-11-22T10:00:00.000Z';
    return { format: 1, name: diskName, uuid: this.uuid, sizeBytes, createdAt, multiConn: false, handover: 'auto' };
  }

  async #begin(id: string): Promise<void> {
    const node = new MovesNode(this, id, join(this.#dir, id));
    this.nodes.push(node);
    await this.time.during('a node begins', node.start());
  }
}
