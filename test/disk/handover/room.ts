/**
 * Nodes with disks in one process: real registries over real folders, joined by peers that do what a plan says at one step, and a clock that the test moves.
 *
 * A killed node's objects are left to themselves: nothing that they ask arrives, nobody reaches them, and the node goes on from a copy of its files as they were at that moment.
 */
import { randomUUID } from 'node:crypto';
import { cpSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import type { Test } from 'tap';
import { blockBytes } from '../../../src/base/native/overlay.js';
import { DiskFolder } from '../../../src/disk/folder/folder.js';
import { readOwnerFile } from '../../../src/disk/folder/owner-file.js';
import type { DiskRecord, OwnerState } from '../../../src/disk/protocol/record.js';
import { ManualClock } from '../../cache/manual-clock.js';
import { memoryDir } from '../../support/memory-dir.js';
import type { Fault, Plan } from './fault.js';
import { RoomNode } from './node.js';

export const blockCount = 24;
/** More than a guest waits. */
const slowMs = 4000;
/** What takes so much of our time never ends. */
const hangsMs = 300_000;

export class Room {
  readonly clock = new ManualClock();
  readonly uuid = randomUUID();
  readonly nodes: Record<string, RoomNode> = {};
  /** Everything that was asked, in order: `B>A disk.handover`, with a number where it was asked before. */
  readonly steps: string[] = [];
  /** What must never be, and was. */
  readonly wrong: string[] = [];
  /** Steps that match fail as if the asked node did not answer. */
  cut: RegExp | undefined;
  /** Called before each step. */
  onStep: ((step: string) => void) | undefined;
  onKill: (() => void) | undefined;
  readonly #dir: string;
  readonly #plans: Plan[];
  readonly #late: (() => Promise<unknown>)[] = [];
  readonly #all: RoomNode[] = [];
  readonly #ownerOf = new Map<number, string>();
  #killCount = 0;
  #askCount = 0;
  /** Asks that a node is at, by its id. */
  readonly #serving = new Map<string, number>();
  #doneCount = 0;

  constructor(t: Test, plans: Plan[]) {
    this.#dir = memoryDir(t, 'copse-room-');
    this.#plans = plans;
    t.teardown(async () => {
      for (const node of this.#all) await node.close();
    });
  }

  get record(): DiskRecord {
    const sizeBytes = blockCount * blockBytes;
    return { format: 1, name: 'vm', uuid: this.uuid, sizeBytes, createdAt: '2026-11-22T10:00:00.000Z', multiConn: false, handover: 'auto' };
  }

  /** Of the plans. */
  get doneCount(): number {
    return this.#doneCount;
  }

  /** Nodes, of which the first makes the disk. */
  async start(ids: readonly string[], record: Partial<DiskRecord> = {}): Promise<void> {
    for (const [index, id] of ids.entries()) {
      const dir = join(this.#dir, id);
      const state: Omit<OwnerState, 'map'> = { format: 1, state: 'owner', epoch: 1, nodes: {} };
      if (index === 0) await DiskFolder.create(join(dir, 'disk'), { ...this.record, ...record }, state);
      await this.#begin(id, dir);
    }
    for (const id of ids) await this.during(this.node(id).watch.look());
  }

  node(id: string): RoomNode {
    const found = this.nodes[id];
    if (found === undefined) throw new Error(`there is no node ${id}`);
    return found;
  }

  get live(): RoomNode[] {
    return Object.values(this.nodes).filter(({ alive }) => alive);
  }

  /** As kill -9: what was written to files is there, what was only in memory is not. */
  kill(id: string): void {
    const node = this.node(id);
    if (!node.alive) return;
    this.#killCount += 1;
    const dir = join(this.#dir, `${id}-${this.#killCount}`);
    copyState(node.dir, dir);
    node.die(dir);
    this.onKill?.();
  }

  async restart(id: string): Promise<void> {
    const { nextDir } = this.node(id);
    if (nextDir !== undefined) await this.#begin(id, nextDir);
    this.look();
  }

  async restartAll(): Promise<void> {
    for (const { id, alive } of Object.values(this.nodes)) if (!alive) await this.restart(id);
  }

  /** One thing that a node asks of another. */
  async ask<T>(asker: RoomNode, askedId: string, what: string, serve: (asked: RoomNode) => Promise<T>): Promise<T> {
    const name = `${asker.id}>${askedId} ${what}`;
    const count = this.steps.filter((step) => step.split('#')[0] === name).length;
    const step = count === 0 ? name : `${name}#${count + 1}`;
    this.steps.push(step);
    this.#askCount += 1;
    try {
      return await this.#ask(asker, askedId, step, serve);
    } finally {
      this.#askCount -= 1;
    }
  }

  async #ask<T>(asker: RoomNode, askedId: string, step: string, serve: (asked: RoomNode) => Promise<T>): Promise<T> {
    this.onStep?.(step);
    this.look();
    await turn();
    const fault: Fault | undefined = this.#plans.find((plan) => plan.step === step)?.fault;
    if (fault !== undefined) this.#doneCount += 1;
    if (this.cut?.test(step)) throw new Gone(askedId);
    const arrive = async (): Promise<T> => {
      const asked = this.nodes[askedId];
      if (asked === undefined || !asked.alive) throw new Gone(askedId);
      this.#serving.set(askedId, (this.#serving.get(askedId) ?? 0) + 1);
      try {
        return await serve(asked);
      } finally {
        this.#serving.set(askedId, (this.#serving.get(askedId) ?? 0) - 1);
      }
    };
    const kill = (who: string): void => {
      if (who !== 'asked') this.kill(asker.id);
      if (who !== 'asker') this.kill(askedId);
    };
    const [verb, who, when] = fault?.split('-') ?? [];
    if (!asker.alive || fault === 'request-lost') throw new Gone(askedId);
    if (fault === 'late') {
      this.#late.push(arrive);
      throw new Gone(askedId);
    }
    if (verb === 'kill' && when === 'before') kill(who ?? '');
    if (!asker.alive) throw new Gone(askedId);
    if (fault === 'slow-request') await this.#slowly(asker.id);
    const answer = await arrive();
    this.look();
    if (fault === 'slow-answer') await this.#slowly(asker.id);
    if (fault === 'twice') await arrive().catch(() => {});
    if (verb === 'kill' && when === 'after') kill(who ?? '');
    await turn();
    this.look();
    if (!asker.alive || !this.nodes[askedId]?.alive || fault === 'answer-lost') throw new Gone(askedId);
    return answer;
  }

  /** What was asked long ago arrives now. */
  async deliverLate(): Promise<void> {
    for (const arrive of this.#late.splice(0)) await arrive().catch(() => {});
    this.look();
  }

  /** Lets time pass until it is so. */
  async until(what: string, isSo: () => boolean): Promise<void> {
    const guardMs = performance.now() + hangsMs;
    for (let count = 1; !isSo(); count += 1) {
      if (performance.now() > guardMs) throw new Error(`${what}: it never was; ${JSON.stringify(this.steps)}`);
      await this.#tick();
      // Every half second, as a daemon does.
      if (count % 5 === 0) for (const node of this.live) await this.during(node.watch.look());
    }
  }

  /** Lets time pass. */
  async pass(durationMs: number): Promise<void> {
    const untilMs = this.clock.nowMs() + durationMs;
    await this.until('the time', () => this.clock.nowMs() >= untilMs);
  }

  /** To where a new owner begins to fetch the rest, while guests read on. */
  leap(): void {
    this.clock.advance(1000);
  }

  /** Lets time pass until the work has settled. */
  async during<T>(work: Promise<T>): Promise<T> {
    let settled = false;
    const end = (): void => {
      settled = true;
    };
    work.then(end, end);
    const guardMs = performance.now() + hangsMs;
    while (!settled) {
      if (performance.now() > guardMs) throw new Error(`it never ended; ${JSON.stringify(this.steps)}`);
      await this.#tick(() => settled);
    }
    return work;
  }

  /** What the asker is asked itself meanwhile may wait for the same: a node asks back before it answers. */
  async #slowly(askerId: string): Promise<void> {
    const waitingCount = 1 + (this.#serving.get(askerId) ?? 0);
    this.#askCount -= waitingCount;
    await new Promise<void>((resolve) => this.clock.after(slowMs, resolve));
    this.#askCount += waitingCount;
  }

  /** 100 ms of the nodes' time, when nothing is being asked and no thread works: what files and processors take is none of the nodes' time. */
  async #tick(isDone = (): boolean => false): Promise<void> {
    for (let idleCount = 0; idleCount < 2; ) {
      // What the threads have done is heard of meanwhile, and they are given more to do.
      for (let count = 0; count < 20 || this.#askCount > 0; count += 1) {
        await turn();
        if (isDone()) return;
      }
      idleCount = isAnyThreadBusy() ? 0 : idleCount + 1;
    }
    this.clock.advance(100);
  }

  /** Nodes whose own files say that they own the disk. */
  owners(): string[] {
    return Object.values(this.nodes).flatMap((node) => {
      const state = stateIn(node.alive ? node.dir : (node.nextDir ?? node.dir), this.uuid);
      return state?.state === 'owner' ? [`${node.id}@${state.epoch}`] : [];
    });
  }

  /** Checks what must hold at every moment. */
  look(): void {
    const owners = this.owners();
    if (owners.length > 1) this.wrong.push(`owners: ${owners.join(' ')} after ${this.steps.at(-1)}`);
    for (const owner of owners) {
      const [id = '', epoch] = owner.split('@');
      const known = this.#ownerOf.get(Number(epoch));
      if (known !== undefined && known !== id) this.wrong.push(`epoch ${epoch} was ${known}'s and is ${id}'s`);
      this.#ownerOf.set(Number(epoch), id);
    }
  }

  async #begin(id: string, dir: string): Promise<void> {
    const node = new RoomNode(this, id, dir);
    this.#all.push(node);
    this.nodes[id] = node;
    await node.start();
  }
}

class Gone extends Error {
  readonly code = 'ERR_PEER_GONE';

  constructor(id: string) {
    super(`node ${id} does not answer`);
  }
}

/** Whether a thread of this process, beside this one, runs, wants to, or waits for a disk. */
function isAnyThreadBusy(): boolean {
  return readdirSync('/proc/self/task').some((id) => {
    if (id === String(process.pid)) return false;
    try {
      const stat = readFileSync(`/proc/self/task/${id}/stat`, 'latin1');
      return !/^\) [SI]/.test(stat.slice(stat.lastIndexOf(')')));
    } catch {
      // It has ended.
      return false;
    }
  });
}

export function stateIn(dir: string, uuid: string): OwnerState | undefined {
  try {
    return readOwnerFile(join(dir, 'disk', uuid, 'owner.json')).state;
  } catch {
    return undefined;
  }
}

/** Maps before data: a map never promises what was not written before it. */
function copyState(from: string, to: string): void {
  const files = readdirSync(from, { recursive: true, encoding: 'utf8' }).filter((path) => statSync(join(from, path)).isFile());
  const order = (path: string): number => (path.endsWith('.json') ? 0 : path.endsWith('.data') ? 2 : 1);
  cpSync(from, to, { recursive: true, filter: (path) => existsSync(path) && statSync(path).isDirectory() });
  for (const path of files.sort((left, right) => order(left) - order(right))) {
    // A file that was being made has another name by now.
    if (existsSync(join(from, path))) cpSync(join(from, path), join(to, path));
  }
}
