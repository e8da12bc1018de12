/** QEMU's block layer over a daemon that is killed and started again: with reconnect-delay the guest sees no error. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import t, { type Test } from 'tap';
import { pattern } from '../conformance/content.js';
import { missing } from '../interop/serving.js';
import { until } from '../support/wait.js';
import { Daemon } from './daemon.js';
import { ScriptedOrigin } from './origin.js';

const bytes = pattern(4 * 1024 * 1024, 95);
const skip = await missing('qemu-io', '--version');

/** qemu-io that takes commands as they come. */
class QemuIo {
  output = '';
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #exit: Promise<unknown>;

  constructor(t: Test, daemon: Daemon) {
    const options = `driver=raw,file.driver=nbd,file.server.type=unix,file.server.path=${daemon.socketPath},file.export=image,file.reconnect-delay=60`;
    this.#child = spawn('qemu-io', ['-r', '--image-opts', options]);
    this.#exit = new Promise((resolve) => this.#child.once('exit', resolve));
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        this.output += chunk.toString();
      });
    }
    t.teardown(async () => {
      this.#child.kill('SIGKILL');
      await this.#exit;
    });
  }

  say(command: string): void {
    this.#child.stdin.write(`${command}\n`);
  }

  /** Resolves when so many reads are through. */
  async reads(count: number): Promise<void> {
    await until(`${count} reads of qemu-io`, () => (this.output.match(/\bread \d+\/\d+ bytes/g) ?? []).length >= count);
  }
}

t.test('kill -9 and restart between reads and with reads in flight', { skip }, async (t) => {
  const origin = await ScriptedOrigin.start(t, bytes);
  const daemon = await Daemon.start(t, { images: { image: origin.url } });
  const qemu = new QemuIo(t, daemon);
  const expect = (offset: number): string => `-P ${bytes.readUInt8(offset)} ${offset} 1`;
  qemu.say(`read ${expect(1000)}`);
  await qemu.reads(1);

  await daemon.kill();
  qemu.say(`read ${expect(2000)}`);
  await daemon.start();
  await qemu.reads(2);

  // In flight: the origin is silent until the daemon is dead.
  origin.always({ kind: 'hang' });
  const asked = origin.requests.length;
  for (const offset of [1_000_000, 2_000_000, 3_000_000]) qemu.say(`aio_read ${expect(offset)}`);
  await until('a request to the origin', () => origin.requests.length > asked);
  await daemon.kill();
  origin.always(undefined);
  await daemon.start();
  qemu.say('aio_flush');
  await qemu.reads(5);

  // A clean restart under a client that is attached.
  await daemon.stop();
  qemu.say(`read ${expect(4_000_000)}`);
  await daemon.start();
  await qemu.reads(6);
  t.notMatch(qemu.output, /fail|error|verif/i);
});
