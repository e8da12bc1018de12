/** A real daemon as a subject, whose read-write export is a disk: one that is its newest writer's alone, and one that clients share; by unix socket and TCP. */
import { truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import type { Test } from 'tap';
import { DiskHost, imageName } from '../fault/disk-host.js';
import { shortDir } from '../support/short-dir.js';
import { conformance } from './conformance.js';
import { fileSizeBytes, imageBytes, imageHole } from './content.js';
import type { Subject } from './subject.js';

/** Registers the suite under a daemon with native threads, or without. */
export async function diskConformance(t: Test, fastPath: boolean): Promise<void> {
  const bytes = imageBytes();
  const folder = shortDir(t);
  const path = join(folder, 'image.raw');
  writeFileSync(path, '');
  truncateSync(path, bytes.length);
  const file = await open(path, 'r+');
  await file.write(bytes, 0, imageHole.holeStart, 0);
  await file.write(bytes, imageHole.holeEnd, bytes.length - imageHole.holeEnd, imageHole.holeEnd);
  await file.close();

  const host = await DiskHost.start(t, { image: path, fastPath, tcp: true });
  const { daemon } = host;
  await host.disk('create', 'alone', '--size', String(fileSizeBytes));
  await host.disk('create', 'shared', '--size', String(fileSizeBytes), '--multi-conn');

  const subject = (name: string, way: string, connect: Subject['connect']): Subject => ({
    name: `copse with the disk "${name}" ${way}${fastPath ? '' : ', without the fast path'}`,
    connect,
    image: { name: imageName, bytes, ...imageHole },
    file: { name, sizeBytes: fileSizeBytes },
    has: { extended: true, cachedContext: true, holes: true },
  });
  const byTcp = (): ReturnType<Subject['connect']> =>
    new Promise((resolve, reject) => {
      const { hostname: host, port } = daemon.tcpUri;
      const stream = createConnection({ host, port: Number(port), allowHalfOpen: true, noDelay: true }, () => resolve(stream));
      stream.once('error', reject);
    });

  conformance(
    t,
    subject('alone', 'over a unix socket', () => daemon.connect()),
  );
  conformance(t, subject('shared', 'over TCP', byTcp), ['read', 'write', 'blockStatus']);
  t.test('who answered', async (t) => {
    const { enabled, reads, writes, handedUp } = await daemon.fastPath();
    t.equal(enabled, fastPath);
    if (fastPath)
      t.ok(reads > 100 && writes > 0 && handedUp > 100, `${reads} reads and ${writes} writes natively, ${handedUp} requests not`);
    else t.same([reads, writes, handedUp], [0, 0, 0]);
  });
}
