/** State directories with many images and disks, written past the daemon, since making them one by one takes minutes. */
import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { GiB } from '../../src/base/size.js';
import { formatMapHeader, mapFileBytes } from '../../src/disk/folder/map-header.js';

const createdAt = '2026-01-01T00:00:00.000Z';

export const imageName = (index: number): string => `image-${String(index).padStart(6, '0')}`;
export const diskName = (index: number): string => `disk-${String(index).padStart(6, '0')}`;
export const knownName = (index: number): string => `known-${String(index).padStart(6, '0')}`;

function uuidOf(kind: number, index: number): string {
  return `${(kind * 0x1000_0000 + index).toString(16)}-0000-4000-8000-000000000000`;
}

/** Images at origins that do not exist: whoever asks them fails. */
export function writeImages(stateDir: string, count: number, sizeBytes = GiB): void {
  mkdirSync(join(stateDir, 'catalog'), { recursive: true });
  for (let index = 0; index < count; index += 1) {
    const name = imageName(index);
    const identity = { kind: 'file', sizeBytes, inode: String(1000 + index), mtimeNs: '1700000000000000000' };
    const content = { url: `file:///nonexistent/${name}.raw`, identity, format: 'raw', sizeBytes, chunkSizeBytes: 256 * 1024 };
    writeFileSync(join(stateDir, 'catalog', `${name}.json`), JSON.stringify({ version: 1, name, content, pinnedAt: createdAt }));
  }
}

const recordOf = (name: string, uuid: string, sizeBytes: number) => {
  return { format: 1, name, uuid, sizeBytes, createdAt, multiConn: false, handover: 'auto' };
};

/** Disks without an image that this node owns. */
export function writeDisks(stateDir: string, count: number, sizeBytes = GiB): void {
  for (let index = 0; index < count; index += 1) {
    const uuid = uuidOf(1, index);
    const folder = join(stateDir, 'disk', uuid);
    mkdirSync(join(folder, 'snapshot'), { recursive: true });
    writeFileSync(join(folder, 'disk.json'), JSON.stringify(recordOf(diskName(index), uuid, sizeBytes)));
    const owner = { format: 1, state: 'owner', epoch: 1, nodes: {}, map: 'map-1', data: 'overlay.data', sizeBytes };
    writeFileSync(join(folder, 'owner.json'), JSON.stringify(owner));
    writeSparse(join(folder, 'overlay.data'), '', sizeBytes);
    writeSparse(join(folder, 'map-1'), formatMapHeader({ uuid, sizeBytes }).toString(), mapFileBytes(sizeBytes));
  }
}

/** Disks that another node owns, as this node heard of them before it was started. */
export function writeKnownDisks(stateDir: string, count: number, sizeBytes = GiB): void {
  const disks = Array.from({ length: count }, (_, index) => {
    const record = recordOf(knownName(index), uuidOf(2, index), sizeBytes);
    return { record, owner: { id: 'elsewhere', address: '192.0.2.1:10810' }, epoch: 1, dataBytes: 0 };
  });
  mkdirSync(stateDir, { recursive: true });
  writeFileSync(join(stateDir, 'disks-known.json'), JSON.stringify({ format: 1, disks }));
}

function writeSparse(path: string, head: string, sizeBytes: number): void {
  const descriptor = openSync(path, 'wx', 0o600);
  writeSync(descriptor, head);
  ftruncateSync(descriptor, sizeBytes);
  closeSync(descriptor);
}
