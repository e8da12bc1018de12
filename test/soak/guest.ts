/** A guest as the soak sees it: a process that is attached to one disk at one host, and is asked for one thing after another. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { CopseError } from '../../src/base/error.js';
import { foreignErrorCode } from '../../src/base/error-code.js';
import type { Order, Report } from './guest-process.js';

const processPath = fileURLToPath(new URL('./guest-process.js', import.meta.url));

type Wish<T> = T extends { number: number } ? Omit<T, 'number'> : never;

/** Longer than any deadline: a guest that waits so long hangs. */
const hangMs = 180_000;

export class Guest {
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, (report: Report) => void>();
  readonly #exited: Promise<unknown>;
  #next = 1;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#exited = once(child, 'exit');
    child.on('message', (report: Report) => {
      this.#pending.get(report.number)?.(report);
      this.#pending.delete(report.number);
    });
    child.on('exit', () => {
      for (const [number, settle] of this.#pending) settle({ number, error: { code: 'ERR_GUEST_GONE', message: 'the guest ended' } });
      this.#pending.clear();
    });
  }

  /** @throws CopseError with the code of what went wrong, when it can't attach */
  static async attach(uri: string, disk: number): Promise<Guest> {
    const guest = new Guest(fork(processPath, { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }));
    try {
      await guest.ask({ kind: 'connect', uri, disk });
      return guest;
    } catch (error) {
      await guest.kill();
      throw error;
    }
  }

  /** @returns the versions of a read. @throws CopseError with the code of the error; `ERR_HANG` when no answer comes */
  async ask(wish: Wish<Order>): Promise<number[]> {
    const number = this.#next;
    this.#next += 1;
    const what = JSON.stringify(wish);
    const report = await new Promise<Report>((resolve, reject) => {
      const timer = setTimeout(() => reject(new CopseError(foreignErrorCode('ERR_HANG'), `no answer in ${hangMs} ms: ${what}`)), hangMs);
      this.#pending.set(number, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      if (this.#child.connected) this.#child.send({ ...wish, number } satisfies Order);
      else this.#pending.get(number)?.({ number, error: { code: 'ERR_GUEST_GONE', message: 'the guest ended' } });
    });
    if (report.error !== undefined) throw new CopseError(foreignErrorCode(report.error.code), `${what}: ${report.error.message}`);
    return report.versions ?? [];
  }

  /** As a VM that is pulled: what is under way is not waited for. Resolves when the process is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  /** As a VM that is shut down. */
  async leave(): Promise<void> {
    await this.ask({ kind: 'disconnect' }).catch(() => {});
    await this.kill();
  }
}
