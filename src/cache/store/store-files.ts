/**
 * The two files of a cached image, and what they are worth when a store opens them.
 *
 * A map that ended cleanly, beside a data file that is untouched since, is trusted. A data file
 * that is missing or of another size voids the map. In every other case each chunk is verified
 * before it is first served.
 */
import { existsSync, rmSync } from 'node:fs';
import { dataFileStamp, type MapHeader, mapVersion, readMapHeader } from './map-header.js';

export interface StorePaths {
  dataPath: string;
  mapPath: string;
}

export interface ChunkStoreOptions extends StorePaths {
  sizeBytes: number;
  chunkBytes: number;
  /** 32 bits of the image's identity, bound into every map record. */
  recordSeed: number;
}

/** Worth of the files as a store finds them. */
export interface StoreWorth {
  /** True if the records hold without verification. */
  trusted: boolean;
  /** True if the header on the disk says `clean`, even of other data, or there is no usable map. */
  isUntouched: boolean;
}

/** Looks at the files of a store, and removes those that are of no use. */
export function inspectStoreFiles(options: ChunkStoreOptions): StoreWorth {
  const header = readMapHeader(options.mapPath);
  const stamp = dataFileStamp(options.dataPath, options.sizeBytes);
  const usable = stamp !== undefined && header !== undefined && matches(header, options);
  // Most images have neither file when the daemon starts.
  if (!usable && (stamp !== undefined || header !== undefined || hasFiles(options))) removeStoreFiles(options);
  const trusted = usable && header.clean?.inode === stamp.inode && header.clean.mtimeNs === stamp.mtimeNs;
  return { trusted, isUntouched: !usable || header.clean !== undefined };
}

/** Removes a cached image's files. No store may be open on them. */
export function removeStoreFiles(paths: StorePaths): void {
  // The map goes first: a map without its data would be a lie, data without a map are garbage.
  rmSync(paths.mapPath, { force: true });
  rmSync(paths.dataPath, { force: true });
}

/** Header of a map that is in use. */
export function headerOf({ sizeBytes, chunkBytes, recordSeed }: ChunkStoreOptions): MapHeader {
  return { format: 'copse-map', version: mapVersion, sizeBytes, chunkBytes, recordSeed };
}

function hasFiles({ dataPath, mapPath }: StorePaths): boolean {
  return existsSync(mapPath) || existsSync(dataPath);
}

function matches(header: MapHeader, options: ChunkStoreOptions): boolean {
  return header.sizeBytes === options.sizeBytes && header.chunkBytes === options.chunkBytes && header.recordSeed === options.recordSeed;
}
