/** The suite under a real daemon whose read-write export is a disk: one that is its newest writer's alone, and one that clients share. */
import { truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { DiskHost, imageName } from '../fault/disk-host.js';
import { conformance } from './conformance.js';
import { fileSizeBytes, imageBytes, imageHole } from './content.js';
import { shortDir } from './short-dir.js';
import type { Subject } from './subject.js';

const bytes = imageBytes();
const path = join(await shortDir(t), 'image.raw');
writeFileSync(path, '');
truncateSync(path, bytes.length);
const file = await open(path, 'r+');
await file.write(bytes, 0, imageHole.holeStart, 0);
await file.write(bytes, imageHole.holeEnd, bytes.length - imageHole.holeEnd, imageHole.holeEnd);
await file.close();

const host = await DiskHost.start(t, { image: path });
await host.disk('create', 'alone', '--size', String(fileSizeBytes));
await host.disk('create', 'shared', '--size', String(fileSizeBytes), '--multi-conn');

const subject = (name: string): Subject => ({
  name: `copse with the disk "${name}"`,
  connect: () => host.daemon.connect(),
  image: { name: imageName, bytes, ...imageHole },
  file: { name, sizeBytes: fileSizeBytes },
  has: { extended: true, cachedContext: true, holes: true },
});

conformance(t, subject('alone'));
conformance(t, subject('shared'), ['read', 'write', 'blockStatus']);
