/** A daemon with one image that is wholly in its cache: what native threads answer. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { Daemon, type DaemonOptions } from '../fault/daemon.js';
import { differences } from '../support/differences.js';
import { shortDir } from '../support/short-dir.js';
import { until } from '../support/wait.js';

export const servedName = 'image';

/** @param bytes of the image, `servedName`; further options are the daemon's */
export async function startWarm(t: Test, bytes: Buffer, options: Partial<DaemonOptions> = {}): Promise<Daemon> {
  const path = join(shortDir(t), 'image.raw');
  writeFileSync(path, bytes);
  const daemon = await Daemon.start(t, { fastPath: true, ...options, images: { [servedName]: path, ...options.images } });
  await warm(daemon, bytes);
  return daemon;
}

/** Reads all of it, waits until it is stored, and leaves. */
export async function warm(daemon: Daemon, bytes: Buffer): Promise<void> {
  const session = await daemon.attach(servedName);
  const wrong = await differences(session, bytes);
  if (wrong.length > 0) throw new Error(wrong.join('; '));
  await until('all of the image in the cache', async () => {
    const { cache } = (await daemon.imageStatus(servedName)) as { cache: { cachedBytes: number } };
    return cache.cachedBytes === bytes.length;
  });
  await session.disconnect();
  await fastConnections(daemon, 0);
}

/** Resolves when so many clients are on the fast path. */
export async function fastConnections(daemon: Daemon, count: number): Promise<void> {
  await until(`${count} connections on the fast path`, async () => (await daemon.fastPath()).connections === count);
}
