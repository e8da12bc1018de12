/** As much of QEMU's machine protocol as it takes to ask a VM questions: one command at a time, events by name. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

interface Message {
  return?: unknown;
  error?: { class: string; desc: string };
  event?: string;
}

export class Qmp {
  readonly #socket: Socket;
  readonly #answers: ((message: Message) => void)[] = [];
  readonly #events = new Set<string>();
  readonly #eventWaiters = new Map<string, () => void>();
  #closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    // A QEMU that is killed resets the connection: the interface reports that too, 'close' is enough.
    createInterface({ input: socket })
      .on('line', (line) => this.#take(JSON.parse(line) as Message))
      .on('error', () => undefined);
    socket.on('error', () => undefined).on('close', () => this.#close());
  }

  /** Connects to QEMU's `-qmp unix:PATH,server=on` and leaves its negotiation mode. */
  static async connect(path: string): Promise<Qmp> {
    const socket = connect(path);
    await once(socket, 'connect');
    const qmp = new Qmp(socket);
    await qmp.execute('qmp_capabilities');
    return qmp;
  }

  /** Sends a command and resolves to its return value, whose shape is the caller's to know. */
  async execute(command: string, args: Record<string, unknown> = {}): Promise<unknown> {
    if (this.#closed) throw new Error(`QEMU is gone: ${command}`);
    const answer = new Promise<Message>((resolve) => this.#answers.push(resolve));
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    const message = await answer;
    if (message.error) throw new Error(`QEMU refuses ${command}: ${message.error.desc}`);
    return message.return;
  }

  /** Resolves when the event has happened, be it before this call; also when QEMU goes away. */
  async event(name: string): Promise<void> {
    if (this.#events.has(name) || this.#closed) return;
    await new Promise<void>((resolve) => this.#eventWaiters.set(name, resolve));
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(message: Message): void {
    if (message.event !== undefined) {
      this.#events.add(message.event);
      this.#eventWaiters.get(message.event)?.();
    } else if ('return' in message || message.error) {
      this.#answers.shift()?.(message);
    }
  }

  #close(): void {
    this.#closed = true;
    for (const answer of this.#answers.splice(0)) answer({ error: { class: 'Gone', desc: 'the connection was closed' } });
    for (const wake of this.#eventWaiters.values()) wake();
  }
}
