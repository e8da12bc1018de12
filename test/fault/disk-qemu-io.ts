/** qemu-io on a disk: QEMU's block layer as one process that stays attached, takes commands as they come, and reconnects as a guest's would. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Test } from 'tap';
import { until } from '../support/wait.js';
import type { DiskHost } from './disk-host.js';

const prompt = 'qemu-io> ';

export class QemuIo {
  #output = '';
  /** What it says is in one stream, errors too, in its order. */
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #exit: Promise<unknown>;
  #commandCount = 0;
  #hasEnded = false;

  private constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    this.#exit = once(child, 'exit');
    child.stdout.on('data', (chunk: Buffer) => {
      this.#output += chunk.toString();
    });
    child.once('close', () => {
      this.#hasEnded = true;
    });
  }

  /** Attached with `reconnect-delay`, and with no cache of its own in between. Killed with the test at the latest. */
  static async attach(t: Test, host: Pick<DiskHost, 'daemon'>, disk: string): Promise<QemuIo> {
    const node = `driver=nbd,server.type=unix,server.path=${host.daemon.socketPath},export=${disk},reconnect-delay=60,discard=unmap`;
    const qemu = new QemuIo(spawn('sh', ['-c', 'exec qemu-io -d unmap --image-opts "$1" 2>&1', 'sh', node]));
    t.teardown(() => qemu.kill());
    await qemu.#prompts(1);
    return qemu;
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** Resolves to what qemu-io says to a command, when that has ended. Not for its `aio_` commands. One at a time: it takes its input line by line, and forgets a second one. */
  async do(command: string): Promise<string> {
    await this.#prompts(this.#commandCount + 1);
    const start = this.#output.length;
    this.#commandCount += 1;
    this.#child.stdin.write(`${command}\n`);
    await this.#prompts(this.#commandCount + 1);
    return this.#output.slice(start, -prompt.length).trim();
  }

  /** It asks for the next command when it is done with the one before. */
  async #prompts(count: number): Promise<void> {
    await until(`qemu-io: command ${count}`, () => {
      if (this.#output.split(prompt).length > count) return true;
      if (this.#hasEnded) throw new Error(`qemu-io ended before command ${count}: ${this.#output.slice(-1000)}`);
      return false;
    });
  }

  /** Leaves as a guest that is switched off. */
  async quit(): Promise<void> {
    this.#child.stdin.write('quit\n');
    await this.#exit;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.#exit;
  }
}
