/**
 * One disk that goes from daemon to daemon. A client at another node takes it each time, in one of the ways in which
 * disks move; then clients at all nodes read what was flushed.
 */
import { createConnection } from 'node:net';
import type { DiskStatus } from '../../src/admin/schema-disk.js';
import { Cmd } from '../conformance/wire/constant.js';
import { enter } from '../conformance/wire/handshake.js';
import type { Session } from '../conformance/wire/session.js';
import type { Random } from '../disk/moves/random.js';
import { until } from '../support/wait.js';
import type { Daemon } from './daemon.js';

const blockBytes = 4096;
const blockCount = 64;
export const sizeBytes = blockCount * blockBytes;
/** In which a former owner's copy is removed. */
const maxPauseMs = 1200;
const ways = ['write', 'write', 'take', 'leave'] as const;

let clientCount = 0;

export class DiskStory {
  /** What must never be, and was. */
  readonly wrong: string[] = [];
  readonly #name: string;
  readonly #daemons: readonly Daemon[];
  readonly #random: Random;
  /** As it was flushed last. */
  readonly #bytes = Buffer.alloc(sizeBytes);
  #tag = 0;

  constructor(name: string, daemons: readonly Daemon[], random: Random) {
    this.#name = name;
    this.#daemons = daemons;
    this.#random = random;
  }

  /** @returns how often it moved */
  async play(moves: number): Promise<number> {
    const [first] = this.#daemons;
    if (first === undefined) throw new Error('there are no daemons');
    let at = first;
    let client = await this.#attach(at);
    await this.#write(client);
    for (let count = 0; count < moves && this.wrong.length === 0; count += 1) {
      const next = this.#random.pick(this.#daemons.filter((daemon) => daemon !== at));
      client = await this.#move(client, next, this.#random.pick(ways));
      at = next;
      await this.#pause();
      await this.#read(await this.#attach(this.#random.pick(this.#daemons)), true);
    }
    client.bytes.stream.destroy();
    for (const daemon of this.#daemons) await this.#read(await this.#attach(daemon), true);
    return (await this.#status(at)).epoch - 1;
  }

  /** @returns the client at the next node, which has written */
  async #move(before: Session, next: Daemon, way: (typeof ways)[number]): Promise<Session> {
    const isEarly = this.#random.isOneIn(2);
    if (isEarly && way !== 'leave') before.bytes.stream.destroy();
    const client = await this.#attach(next);
    if (way === 'take') {
      const { status, body } = await next.api('POST', `/v1/disks/${this.#name}/take`);
      if (status !== 200) this.wrong.push(`${this.#name}: take answered ${status} ${body}`);
    }
    if (way === 'leave') {
      await this.#read(client, false);
      before.bytes.stream.destroy();
      await until(`${this.#name} comes by itself`, async () => (await this.#status(next)).place === 'owner');
    }
    await this.#write(client);
    if (!isEarly) before.bytes.stream.destroy();
    return client;
  }

  /** Each has an address of its own, so that none is taken for another that was displaced. */
  async #attach(daemon: Daemon): Promise<Session> {
    clientCount += 1;
    const localAddress = `127.1.${clientCount >> 8}.${clientCount & 255}`;
    const socket = createConnection({ host: '127.0.0.1', port: Number(daemon.tcpUri.port), localAddress, allowHalfOpen: true });
    socket.on('error', () => {});
    return enter(socket, this.#name);
  }

  async #write(client: Session): Promise<void> {
    this.#tag += 1;
    const first = this.#random.below(blockCount);
    const count = this.#random.isOneIn(3) ? blockCount - first : 1;
    const bytes = Buffer.alloc(count * blockBytes, `${this.#name} ${this.#tag} `);
    const written = await client.write(first * blockBytes, bytes);
    const flushed = await client.do({ type: Cmd.flush });
    for (const { error, message } of [written, flushed]) {
      if (error !== 0) this.wrong.push(`${this.#name}: a change failed with ${error} ${message}`);
    }
    bytes.copy(this.#bytes, first * blockBytes);
  }

  async #read(client: Session, leaves: boolean): Promise<void> {
    const { error, message, data } = await client.read(0, this.#bytes.length);
    if (error !== 0) this.wrong.push(`${this.#name}: a read failed with ${error} ${message}`);
    else if (!data.equals(this.#bytes)) this.wrong.push(`${this.#name}: not what was flushed, after change ${this.#tag}`);
    if (leaves) client.bytes.stream.destroy();
  }

  async #status(daemon: Daemon): Promise<DiskStatus> {
    return JSON.parse((await daemon.api('GET', `/v1/disks/${this.#name}`)).body);
  }

  /** Nothing is waited for: the next client comes at any moment. */
  #pause(): Promise<void> {
    return new Promise((resolve) => {
      setTimeout(resolve, this.#random.below(maxPauseMs));
    });
  }
}
