/** A Node process that was started with `--inspect=127.0.0.1:0`: stops its JavaScript for a while, and nothing else of it. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { WebSocket } from 'undici';
import { CopseError } from '../../../src/base/error.js';
import { foreignErrorCode } from '../../../src/base/error-code.js';
import type { Closeable } from '../../../src/base/lifecycle.js';

export class Inspector implements Closeable {
  readonly #socket: WebSocket;
  #lastId = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  /** @param logPath where the process's standard error goes. @throws CopseError `ERR_PROGRAM` when no debugger listens */
  static async connect(logPath: string): Promise<Inspector> {
    const url = /ws:\/\/\S+/.exec(await readFile(logPath, 'utf8'))?.[0];
    if (url === undefined) throw new CopseError(foreignErrorCode('ERR_PROGRAM'), `no debugger is told of in ${logPath}`);
    const socket = new WebSocket(url);
    await once(socket, 'open');
    return new Inspector(socket);
  }

  /** The main thread sleeps: nothing of its event loop runs, and no CPU is burnt. Resolves when it goes on. */
  async block(ms: number): Promise<void> {
    this.#lastId += 1;
    const id = this.#lastId;
    const answered = new Promise<void>((resolve, reject) => {
      const listen = ({ data }: { data: unknown }): void => {
        if (typeof data !== 'string' || !data.includes(`"id":${id},`)) return;
        this.#socket.removeEventListener('message', listen);
        if (data.includes('"exceptionDetails"') || data.includes('"error"'))
          reject(new CopseError(foreignErrorCode('ERR_PROGRAM'), `the debugger: ${data}`));
        else resolve();
      };
      this.#socket.addEventListener('message', listen);
      this.#socket.addEventListener('close', () => reject(new CopseError(foreignErrorCode('ERR_PROGRAM'), 'the debugged process ended')), {
        once: true,
      });
    });
    const expression = `Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${ms})`;
    this.#socket.send(JSON.stringify({ id, method: 'Runtime.evaluate', params: { expression } }));
    await answered;
  }

  async close(): Promise<void> {
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    await closed;
  }
}
