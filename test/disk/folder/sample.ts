/** Disks small enough to be looked at as a whole, and what is in them. */
import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from '../../../src/base/log.js';
import { blockBytes } from '../../../src/base/native/overlay.js';
import type { DiskFolder } from '../../../src/disk/folder/folder.js';
import type { DiskRecord, OwnerState } from '../../../src/disk/protocol/record.js';

/** More than a sector of the map, and not a whole number of them. */
export const sampleBytes = 600 * blockBytes;

export function sampleRecord(sizeBytes = sampleBytes): DiskRecord {
  return {
    format: 1,
    name: 'web',
    uuid: randomUUID(),
    sizeBytes,
    createdAt: '2026-11-22T10:00:00.000Z',
    multiConn: false,
    handover: 'auto',
  };
}

export const owned: Omit<OwnerState, 'map'> = { format: 1, state: 'owner', epoch: 1, nodes: {} };

/** Writes whole blocks of one byte and flushes. */
export async function writeBlocks(folder: DiskFolder, firstBlock: number, blockCount: number, byte: number): Promise<void> {
  const overlay = folder.openOverlay();
  try {
    await overlay.write(Buffer.alloc(blockCount * blockBytes, byte), 0, blockCount * blockBytes, firstBlock * blockBytes, undefined);
    await overlay.flush();
  } finally {
    await overlay.close();
  }
}

/** All that a guest could see, in a line: size, states, and the first byte of each run of equal data blocks. */
export async function contentOf(folder: DiskFolder): Promise<string> {
  const overlay = folder.openOverlay();
  try {
    const blocks: string[] = [];
    for (let block = 0; block < overlay.sizeBytes / blockBytes; block += 1) {
      const [state] = overlay.runs(block * blockBytes, blockBytes, 1);
      const data = Buffer.alloc(blockBytes);
      if (state === 1) await overlay.read(data, 0, blockBytes, block * blockBytes);
      const uniform = data.every((byte) => byte === data[0]);
      blocks.push(`${state}/${uniform ? data[0] : 'mixed'}`);
    }
    const runs = blocks.map((text, block) => (text === blocks[block - 1] ? '' : ` ${block}:${text}`));
    return `${folder.record.sizeBytes}${runs.join('')}`;
  } finally {
    await overlay.close();
  }
}

/** Names of files below a directory, sorted; of maps without their logs, which come with the first opening. */
export function filesIn(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.log[01]$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1))
    .sort();
}

/** A log to look at. */
export function keptLog(): { log: Logger; lines: { text: string; fields: Record<string, unknown> }[] } {
  const lines: { text: string; fields: Record<string, unknown> }[] = [];
  const error = (fields: Record<string, unknown>, text: string): void => {
    lines.push({ text, fields });
  };
  return { log: { error, warn: error } as unknown as Logger, lines };
}
