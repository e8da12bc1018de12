/**
 * The demo: boots one Debian image three times through Copse, and says what each boot cost the origin.
 *
 * usage: node demo.js DISK.raw (see `run`, which builds the disk)
 *
 * Everything is in a temporary directory and ends with the demo; the directory stays, and is named, when something failed.
 */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { chooseAccelerator } from './accelerator.js';
import { startDaemon } from './daemon.js';
import { bootGuest } from './guest.js';
import { Lifetime } from './lifetime.js';
import { startOrigin, type Traffic } from './origin.js';
import { type Phase, report } from './report.js';

const latencyMs = 20;
const image = 'debian';
/** Many times what the slowest boot (systemd, cold, TCG on a busy machine) was seen to take. */
const bootTimeoutMs = 180_000;

const say = (text: string): void => console.log(`demo: ${text}`);

async function demo(lifetime: Lifetime, diskPath: string, workDir: string): Promise<void> {
  const diskSizeBytes = (await stat(diskPath)).size;
  const accelerator = await chooseAccelerator(lifetime, { workDir, diskPath, diskSizeBytes });
  const origin = await startOrigin(lifetime, { workDir, rootDir: dirname(diskPath), latencyMs });
  const url = origin.url(basename(diskPath));
  say(`origin: nginx at ${url}, ${latencyMs} ms a request`);
  const serve = () => startDaemon(lifetime, { workDir, image, url });

  const phases: Phase[] = [];
  let before: Traffic = { requests: 0, bytes: 0 };
  const boot = async (title: string, name: string, socketPath: string): Promise<void> => {
    say(`${title}: booting in QEMU (${accelerator})`);
    const server = { type: 'unix', path: socketPath };
    const blockdev = { driver: 'nbd', server, export: image, 'reconnect-delay': 60 };
    const options = { workDir, name, accelerator, image: blockdev, imageSizeBytes: diskSizeBytes, timeoutMs: bootTimeoutMs };
    const result = await bootGuest(lifetime, options);
    const total = await origin.traffic();
    phases.push({ title, boot: result, traffic: { requests: total.requests - before.requests, bytes: total.bytes - before.bytes } });
    before = total;
    say(`${title}: ${result.secondsToUserspace.toFixed(1)} s; the guest said "${result.message}"`);
  };

  let daemon = await serve();
  await boot('cold', 'cold', daemon.socketPath);

  say('restarting copse');
  await daemon.stop();
  daemon = await serve();
  await boot('warm', 'warm', daemon.socketPath);

  say('stopping the origin, restarting copse');
  await daemon.stop();
  await origin.stop();
  daemon = await serve();
  await boot('origin stopped', 'origin-stopped', daemon.socketPath);

  console.log(report(phases));
}

async function main(diskPath: string): Promise<void> {
  const workDir = await mkdtemp(join(tmpdir(), 'copse-demo-'));
  const lifetime = new Lifetime();
  let interrupted = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    // What waits for a program that is being ended fails, so the demo ends by itself.
    process.on(signal, () => {
      if (!interrupted) say(`${signal}: ending what was started`);
      interrupted = true;
      void lifetime.end();
    });
  }
  try {
    await demo(lifetime, resolve(diskPath), workDir);
    await lifetime.end();
    await rm(workDir, { recursive: true, force: true });
  } catch (error) {
    await lifetime.end();
    if (interrupted) {
      await rm(workDir, { recursive: true, force: true });
      process.exit(130);
    }
    say(`failed: ${error instanceof Error ? error.message : String(error)}`);
    say(`the logs of copse, nginx and QEMU are in ${workDir}`);
    process.exitCode = 1;
  }
}

const diskPath = process.argv[2];
if (diskPath === undefined) {
  console.error('usage: npm run demo [-- --systemd]');
  process.exitCode = 2;
} else {
  await main(diskPath);
}
