/** Contenders of the fast path, each over the same file, started and read once so that all is in the page cache: Copse, itself without the fast path, nbdkit, qemu-nbd. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Lifecycle } from '../../../src/base/lifecycle.js';
import { MiB } from '../../../src/base/size.js';
import type { BenchContext } from '../context.js';
import { runFio } from '../harness/fio.js';
import { freePort } from '../harness/free-port.js';
import type { ImageFile } from '../harness/image-file.js';
import { copseCommand } from '../harness/place.js';
import { startCopse } from './copse.js';
import { nbdkit, startTcpNbdkit } from './nbdkit.js';
import { qemu, startTcpQemu } from './qemu.js';
import { type RunningServer, uriOf } from './server.js';

export const withoutFastPath = 'copse --no-fast-path';
export const slowFlags: readonly string[] = ['--no-fast-path'];

/** Copse by its names in tables, with the flags that make it so. Older daemons know no other way than the slow one: they have one name. */
export async function copseVariants(): Promise<Map<string, readonly string[]>> {
  const { stdout } = await execa(process.execPath, [copseCommand, 'serve', '--help']);
  const known = slowFlags.every((flag) => stdout.includes(flag));
  return new Map([['copse', []], ...(known ? [[withoutFastPath, slowFlags] as const] : [])]);
}

/** By name. @param via what clients connect by */
export async function startFastPeers(
  context: BenchContext,
  running: Lifecycle,
  dir: string,
  image: ImageFile,
  via: 'unix' | 'tcp' = 'unix',
): Promise<Map<string, RunningServer>> {
  const starts = new Map<string, (ownDir: string) => Promise<RunningServer>>();
  for (const [name, flags] of await copseVariants()) starts.set(name, (ownDir) => startWarmCopse(ownDir, image.path, flags, via));
  starts.set('nbdkit', (ownDir) => (via === 'tcp' ? startTcpNbdkit(ownDir, image.path) : nbdkit.startWarm(ownDir, image.path)));
  starts.set('qemu', (ownDir) => (via === 'tcp' ? startTcpQemu(ownDir, image.path) : qemu.startWarm(ownDir, image.path)));
  const servers = new Map<string, RunningServer>();
  for (const [name, start] of starts) {
    context.progress(`starting ${name}`);
    const ownDir = join(dir, `s${servers.size}`);
    await mkdir(ownDir);
    const server = running.own(await start(ownDir));
    await readAll(dir, server, image.sizeBytes);
    servers.set(name, server);
  }
  return servers;
}

/** Once through. */
export async function readAll(dir: string, server: RunningServer, sizeBytes: number): Promise<void> {
  await runFio(dir, { uri: uriOf(server), pattern: 'read', blockBytes: MiB, depth: 8, sizeBytes, runtimeMs: 120_000, repeat: false });
}

async function startWarmCopse(dir: string, filePath: string, flags: readonly string[], via: 'unix' | 'tcp'): Promise<RunningServer> {
  const port = via === 'tcp' ? await freePort() : undefined;
  const listen = port === undefined ? [] : ['--listen', `tcp:127.0.0.1:${port}`];
  const server = await startCopse(dir, { images: { image: filePath }, flags: [...listen, ...flags] });
  await server.warm('image');
  return { ...server, port };
}
