/** A guest at a node of a room: what it is told, held against the model. */
import { errorCode } from '../../../src/base/error.js';
import type { Export } from '../../../src/server/export.js';
import type { Room } from './room.js';
import { type SectorModel, sectorBytes } from './sector-model.js';

/** Of each request. */
const defaultDeadlineMs = 3000;

export class Guest {
  readonly #room: Room;
  readonly #model: SectorModel;
  readonly #nodeId: string;
  readonly #key: string;
  readonly deadlineMs: number;
  #export: Export | undefined;
  #from: unknown;

  constructor(room: Room, model: SectorModel, nodeId: string, key: string, deadlineMs = defaultDeadlineMs) {
    this.deadlineMs = deadlineMs;
    this.#room = room;
    this.#model = model;
    this.#nodeId = nodeId;
    this.#key = key;
  }

  /** Attaches, and again when its node was restarted. */
  async attach(): Promise<Export['device']> {
    const node = this.#room.node(this.#nodeId);
    if (this.#export !== undefined && this.#from === node) return this.#export.device;
    const disk = await this.#room.during(node.registry.require('vm'));
    this.#export = await this.#room.during(node.registry.attach(disk, { key: this.#key, text: this.#key }));
    this.#from = node;
    return this.#export.device;
  }

  detach(): void {
    this.#export?.release();
    this.#export = undefined;
  }

  /** @returns the code of what it failed with */
  write(first: number, count: number): Promise<string | undefined> {
    return this.#try(async (device) => {
      const { bytes, acknowledge } = this.#model.write(first, count);
      await device.write(bytes, first * sectorBytes, { deadlineMs: this.deadlineMs });
      this.#acknowledged(acknowledge);
    });
  }

  flush(): Promise<string | undefined> {
    return this.#try(async (device) => {
      const durable = this.#model.flush();
      await device.flush({ deadlineMs: this.deadlineMs });
      this.#acknowledged(durable);
    });
  }

  async read(first: number, count: number): Promise<string | undefined> {
    return this.#try(async (device) => {
      const check = this.#model.read(first, count);
      const bytes = Buffer.alloc(count * sectorBytes);
      if (!device.readNow(bytes, 0, bytes.length, first * sectorBytes))
        await device.read(bytes, first * sectorBytes, { deadlineMs: this.deadlineMs });
      if (!this.#isThere) return;
      for (const wrong of check(bytes)) this.#room.wrong.push(`${this.#key} read ${wrong} after ${this.#room.steps.at(-1)}`);
    });
  }

  async readAll(): Promise<string | undefined> {
    for (let first = 0; first < this.#model.sectorCount; first += 16) {
      const code = await this.read(first, Math.min(16, this.#model.sectorCount - first));
      if (code !== undefined) return code;
    }
    return undefined;
  }

  /** What a process that has died says is heard by nobody. */
  get #isThere(): boolean {
    return this.#room.node(this.#nodeId) === this.#from && this.#room.node(this.#nodeId).alive;
  }

  #acknowledged(tell: () => void): void {
    if (this.#isThere) tell();
    this.#room.look();
  }

  async #try(work: (device: Export['device']) => Promise<void>): Promise<string | undefined> {
    try {
      const device = await this.attach();
      const died = this.#room.node(this.#nodeId).dead.then(() => Promise.reject(new Error('its node died')));
      await this.#room.during(Promise.race([work(device), died]));
      return undefined;
    } catch (error) {
      return errorCode(error) ?? String(error);
    }
  }
}
