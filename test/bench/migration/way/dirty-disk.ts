/** The dirty data onto a disk, and the look whether they are there still. */
import { open } from 'node:fs/promises';
import { execa } from 'execa';
import { MiB } from '../../../../src/base/size.js';
import { NbdClient } from '../../../../src/nbd/client/nbd-client.js';
import type { ImageFile } from '../../harness/image-file.js';
import { type RunningServer, uriOf } from '../../server/server.js';
import { recordsBytes, recordsOffset } from '../lab/guest.js';

type Target = Pick<RunningServer, 'socketPath' | 'exportName'>;

export async function writeDirty(target: Target, dirty: ImageFile): Promise<void> {
  await execa('nbdcopy', ['--flush', dirty.path, uriOf(target)]);
}

/** Compares all but what the guest writes. @returns what differs */
export async function damageOf(target: Target, dirty: ImageFile): Promise<string | undefined> {
  const client = await NbdClient.connect({ path: target.socketPath }, { exportName: target.exportName });
  const file = await open(dirty.path);
  try {
    const expected = Buffer.alloc(MiB);
    const found = Buffer.alloc(MiB);
    for (let offset = 0; offset < dirty.dataBytes; offset += MiB) {
      if (offset >= recordsOffset && offset < recordsOffset + recordsBytes) continue;
      await file.read(expected, 0, MiB, offset);
      found.fill(0);
      await client.read(offset, MiB, { data: (piece, at) => void piece.copy(found, at - offset), zeroes() {} });
      if (!found.equals(expected)) return `the megabyte at ${offset} differs from what was written`;
    }
    return undefined;
  } finally {
    await file.close();
    await client.disconnect();
  }
}
