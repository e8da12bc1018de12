/**
 * A TCP relay on loopback that has every byte wait on its way, each way as long as it is told, and keeps their order.
 *
 * Connects `127.0.0.1` at a port of the kernel's choice to the same port of another loopback address.
 */
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from 'node:net';
import type { Closeable } from '../../src/base/lifecycle.js';

export class SlowRelay implements Closeable {
  /** HOST:PORT where it listens. */
  readonly address: string;
  /** HOST:PORT to which it leads. */
  readonly target: string;
  /** One way, of what is sent from now on. */
  delayMs: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, targetHost: string, delayMs: number) {
    const { port } = server.address() as AddressInfo;
    this.#server = server;
    this.address = `127.0.0.1:${port}`;
    this.target = `${targetHost}:${port}`;
    this.delayMs = delayMs;
    server.on('connection', (near) => this.#join(near, createConnection({ host: targetHost, port, allowHalfOpen: true })));
  }

  /** @param targetHost a loopback address, where somebody else listens at the relay's port */
  static async start(targetHost: string, delayMs: number): Promise<SlowRelay> {
    const server = createServer({ allowHalfOpen: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new SlowRelay(server, targetHost, delayMs);
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #join(near: Socket, far: Socket): void {
    this.#forward(near, far);
    this.#forward(far, near);
  }

  #forward(from: Socket, to: Socket): void {
    let dueMs = 0;
    const later = (work: () => void): void => {
      dueMs = Math.max(dueMs, performance.now() + this.delayMs);
      setTimeout(work, dueMs - performance.now());
    };
    this.#sockets.add(from);
    from.setNoDelay(true);
    from.on('data', (bytes) => later(() => to.write(bytes)));
    from.on('end', () => later(() => to.end()));
    from.on('error', () => {});
    from.on('close', () => {
      this.#sockets.delete(from);
      later(() => to.destroy());
    });
  }
}
