/** A client at a node: attaches, asks, holds the answers against the model, and leaves. */
import { errorCode } from '../../../src/base/error.js';
import { blockBytes } from '../../../src/base/native/overlay.js';
import type { Export } from '../../../src/server/export.js';
import type { BlockModel } from './block-model.js';
import type { MovesNode } from './node.js';
import { diskName, type World } from './world.js';

/** Of each request. */
const deadlineMs = 30_000;
/** A newer client has displaced it. */
const displaced = new Set(['ERR_FENCED']);

export class Client {
  readonly #world: World;
  readonly #model: BlockModel;
  readonly #export: Export;
  readonly #name: string;
  /** Requests that were answered. */
  doneCount = 0;

  /** Looks the disk up and attaches, as a daemon does for a connection. */
  static async attach(world: World, model: BlockModel, node: MovesNode, key: string): Promise<Client | undefined> {
    const name = `${key} at ${node.id}`;
    try {
      const disk = await node.registry.require(diskName);
      return new Client(world, model, name, await node.registry.attach(disk, { key, text: key }));
    } catch (error) {
      world.fault(`${name} could not attach: ${errorCode(error)} ${String(error)}`);
      return undefined;
    }
  }

  private constructor(world: World, model: BlockModel, name: string, opened: Export) {
    this.#world = world;
    this.#model = model;
    this.#name = name;
    this.#export = opened;
  }

  /** `false`: it was displaced. */
  async write(first: number, count: number): Promise<boolean> {
    const { bytes, end } = this.#model.write(first, count);
    const done = await this.#try('write', () => this.#export.device.write(bytes, first * blockBytes, { deadlineMs }));
    end(done);
    return done;
  }

  flush(): Promise<boolean> {
    return this.#try('flush', () => this.#export.device.flush({ deadlineMs }));
  }

  read(first: number, count: number): Promise<boolean> {
    const check = this.#model.read(first, count);
    const bytes = Buffer.alloc(count * blockBytes);
    return this.#try('read', async () => {
      const { device } = this.#export;
      const offset = first * blockBytes;
      if (!device.readNow(bytes, 0, bytes.length, offset)) await device.read(bytes, offset, { deadlineMs });
    }).then((done) => {
      const faults = check(bytes);
      if (done) for (const fault of faults) this.#world.fault(`${this.#name} read ${fault}`);
      return done;
    });
  }

  leave(): void {
    this.#export.release();
  }

  async #try(what: string, work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      this.doneCount += 1;
      return true;
    } catch (error) {
      const code = errorCode(error) ?? '';
      if (!displaced.has(code)) this.#world.fault(`${this.#name}: ${what} failed with ${code} ${String(error)}`);
      return false;
    }
  }
}
