/**
 * The first page of a chunk map file: the image that the map belongs to, and if it ended cleanly.
 *
 * It is one line of JSON in the first 512-byte sector, padded with zeros to `mapHeaderBytes`. So a
 * write of it is atomic on the disk, and `head -1` shows it. The records follow, in the addon's
 * format (`native.ts`).
 */
import { closeSync, constants, fdatasyncSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { z } from 'zod';
import { CopseError } from '../../base/error.js';

export const mapHeaderBytes = 4096;
const sectorBytes = 512;
export const mapVersion = 1;

const mapHeaderSchema = z.object({
  format: z.literal('copse-map'),
  version: z.literal(mapVersion),
  sizeBytes: z.number().int().nonnegative(),
  chunkBytes: z.number().int().positive(),
  recordSeed: z.number().int().nonnegative(),
  /** Stamp of the data file at the clean end of the map; absent while the map is in use. */
  clean: z.object({ inode: z.string(), mtimeNs: z.string() }).optional(),
});

export type MapHeader = z.infer<typeof mapHeaderSchema>;

/**
 * Reads the header; `undefined` if there is no file or no valid header in it. The map has no worth
 * then.
 */
export function readMapHeader(mapPath: string): MapHeader | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(mapPath, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const sector = Buffer.alloc(sectorBytes);
    readSync(descriptor, sector, 0, sectorBytes, 0);
    const end = sector.indexOf(0x0a);
    return end < 0 ? undefined : mapHeaderSchema.safeParse(JSON.parse(sector.toString('utf8', 0, end))).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

/** Writes the header durably, creating the file (mode 0600) if it is missing. */
export function writeMapHeader(mapPath: string, header: MapHeader): void {
  const page = headerPage(mapPath, header);
  const descriptor = openSync(mapPath, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    writeSync(descriptor, page, 0, page.length, 0);
    fdatasyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Does the same as `writeMapHeader`, on a thread. */
export async function writeMapHeaderLater(mapPath: string, header: MapHeader): Promise<void> {
  const page = headerPage(mapPath, header);
  const file = await open(mapPath, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    await file.write(page, 0, page.length, 0);
    await file.datasync();
  } finally {
    await file.close();
  }
}

function headerPage(mapPath: string, header: MapHeader): Buffer {
  const page = Buffer.alloc(mapHeaderBytes);
  const text = `${JSON.stringify(header)}\n`;
  if (Buffer.byteLength(text) > sectorBytes) throw new CopseError('ERR_MAP_HEADER', `header of ${mapPath} does not fit a sector`);
  page.write(text);
  return page;
}

/**
 * Stamp of a data file, which changes with every change of the file; `undefined` if the file is
 * missing or of another size.
 */
export function dataFileStamp(dataPath: string, sizeBytes: number): { inode: string; mtimeNs: string } | undefined {
  const stat = statSync(dataPath, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined || stat.size !== BigInt(sizeBytes)) return undefined;
  return { inode: stat.ino.toString(), mtimeNs: stat.mtimeNs.toString() };
}
