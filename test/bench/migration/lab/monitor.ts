/** QEMU's machine protocol: commands one after another, and events with the time at which QEMU says they happened. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { CopseError } from '../../../../src/base/error.js';
import { foreignErrorCode } from '../../../../src/base/error-code.js';

interface Message {
  return?: unknown;
  error?: { class: string; desc: string };
  event?: string;
  data?: Record<string, unknown>;
  timestamp?: { seconds: number; microseconds: number };
}

export interface MonitorEvent {
  name: string;
  data: Record<string, unknown>;
  /** Milliseconds since 1970, by this machine's clock. */
  atMs: number;
}

type Wanted = (event: MonitorEvent) => boolean;

export class Monitor {
  readonly #socket: Socket;
  readonly #events: MonitorEvent[] = [];
  #answers: ((message: Message) => void)[] = [];
  #waiters: { wanted: Wanted; resolve: (event: MonitorEvent | undefined) => void }[] = [];
  #closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    createInterface({ input: socket })
      .on('line', (line) => this.#take(JSON.parse(line) as Message))
      .on('error', () => undefined);
    socket.on('error', () => undefined).on('close', () => this.#close());
  }

  static async connect(path: string): Promise<Monitor> {
    const socket = connect(path);
    await once(socket, 'connect');
    const monitor = new Monitor(socket);
    await monitor.execute('qmp_capabilities');
    return monitor;
  }

  /** @returns what the command does, whose shape is the caller's to know. @throws CopseError `ERR_QEMU` */
  async execute<T>(command: string, args: Record<string, unknown> = {}): Promise<T> {
    if (this.#closed) throw new CopseError(foreignErrorCode('ERR_QEMU'), `QEMU is gone: ${command}`);
    const answer = new Promise<Message>((resolve) => this.#answers.push(resolve));
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    const { error, return: result } = await answer;
    if (error !== undefined) throw new CopseError(foreignErrorCode('ERR_QEMU'), `QEMU refuses ${command}: ${error.desc}`);
    return result as T;
  }

  /** The first such event of all, be it before or after the call. @throws CopseError `ERR_QEMU` when QEMU goes before */
  async event(name: string, wanted: (data: Record<string, unknown>) => boolean = () => true): Promise<MonitorEvent> {
    const isIt: Wanted = (event) => event.name === name && wanted(event.data);
    const found = this.#events.find(isIt);
    if (found !== undefined) return found;
    const event = this.#closed
      ? undefined
      : await new Promise<MonitorEvent | undefined>((resolve) => this.#waiters.push({ wanted: isIt, resolve }));
    if (event === undefined) throw new CopseError(foreignErrorCode('ERR_QEMU'), `QEMU went before its event ${name}`);
    return event;
  }

  /** Has QEMU end; what it answers doesn't matter. */
  async quit(): Promise<void> {
    await this.execute('quit').catch(() => undefined);
  }

  #take(message: Message): void {
    if (message.event !== undefined) {
      const { seconds = 0, microseconds = 0 } = message.timestamp ?? {};
      const event = { name: message.event, data: message.data ?? {}, atMs: seconds * 1000 + microseconds / 1000 };
      this.#events.push(event);
      const [come, wait] = [this.#waiters.filter(({ wanted }) => wanted(event)), this.#waiters.filter(({ wanted }) => !wanted(event))];
      this.#waiters = wait;
      for (const { resolve } of come) resolve(event);
    } else if ('return' in message || message.error !== undefined) {
      this.#answers.shift()?.(message);
    }
  }

  #close(): void {
    this.#closed = true;
    for (const answer of this.#answers) answer({ error: { class: 'Gone', desc: 'the connection was closed' } });
    for (const { resolve } of this.#waiters) resolve(undefined);
    this.#answers = [];
    this.#waiters = [];
  }
}
