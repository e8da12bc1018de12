/** The files of a disk's folder by their names: which are whole, which are free, which are left over. */
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { CopseError } from '../../base/error.js';
import { MiB } from '../../base/size.js';
import type { DiskRecord } from '../protocol/record.js';
import { removedSuffix, unfinishedSuffix } from './create.js';
import { mapFileBytes, readMapHeader } from './map-header.js';
import { dataFilePattern, mapFilePattern, type OwnerFile } from './owner-file.js';

const uuidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function isFolderName(name: string): boolean {
  return uuidPattern.test(name);
}

/** Whether a crash left it of a folder that was being made or removed. */
export function isLeftover(name: string): boolean {
  return [unfinishedSuffix, removedSuffix].some((suffix) => name.endsWith(suffix) && isFolderName(name.slice(0, -suffix.length)));
}

/**
 * Whether the files that are the disk are there, whole and its own. What is in them has checksums where it is a map, and none where it is data.
 *
 * @throws CopseError `ERR_DISK_BROKEN`, errors of the operating system
 */
export function checkFiles(path: string, { uuid, sizeBytes }: DiskRecord, { state, data }: OwnerFile): void {
  const wrong = (what: string): CopseError => new CopseError('ERR_DISK_BROKEN', what);
  if (uuid !== basename(path)) throw wrong(`disk.json is of disk ${uuid}: the folder is a copy, or has been renamed`);
  const header = readMapHeader(join(path, state.map));
  if (header === undefined) throw wrong(`${state.map} has no header`);
  if (header.uuid !== uuid) throw wrong(`${state.map} is the map of disk ${header.uuid}`);
  if (header.sizeBytes > sizeBytes) throw wrong(`${state.map} is of a larger disk`);
  // Opened as they are, short files would be filled up with zeros: blocks without data, or of the image.
  if (statSync(join(path, state.map)).size < mapFileBytes(header.sizeBytes)) throw wrong(`${state.map} was cut off`);
  if (statSync(join(path, data)).size < header.sizeBytes) throw wrong(`${data} was cut off`);
}

export function freeMapName(path: string, epoch: number, taken: ReadonlySet<string>): string {
  for (let number = 0; ; number += 1) {
    const name = number === 0 ? `map-${epoch}` : `map-${epoch}-${number}`;
    if (!taken.has(name) && !existsSync(join(path, name))) return name;
  }
}

export function freeDataName(path: string): string {
  for (let number = 1; ; number += 1) {
    const name = `overlay-${number}.data`;
    if (!existsSync(join(path, name))) return name;
  }
}

/** Removes data files, maps with their logs and marks, and unfinished records that match, but those to keep. */
export function clearFiles(path: string, pattern: RegExp, keep: ReadonlySet<string>): void {
  for (const name of readdirSync(path)) {
    const owner = name.replace(/\.(?:log[01]|lost|unsynced)$/, '');
    const ours = dataFilePattern.test(owner) || mapFilePattern.test(owner) || name.endsWith('.json.new');
    if (ours && pattern.test(owner) && !keep.has(owner)) rmSync(join(path, name), { force: true });
  }
}

/** @returns the room on disk that a copy of the files takes, in bytes, rounded up */
export function copyBytes({ dataPath, mapPath }: { dataPath: string; mapPath: string }): number {
  return MiB + [dataPath, mapPath].reduce((bytes, path) => bytes + statSync(path).blocks * 512, 0);
}
