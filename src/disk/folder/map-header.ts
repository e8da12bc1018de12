/**
 * The first page of an overlay's map file: whose map it is. One line of JSON, filled up with spaces, so that `head -1` shows it; behind it come the sectors, whose format is the addon's (`base/native/overlay.ts`).
 *
 * Source: docs/reference/formats.md, "A disk's folder".
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { z } from 'zod';
import { blockBytes } from '../../base/native/overlay.js';

export const mapHeaderBytes = 4096;
/** Of the map: a byte for each of 508 blocks, and a checksum. */
const sectorBytes = 512;
const blocksPerSector = 508;

const mapHeaderSchema = z.object({
  copse: z.literal('overlay'),
  format: z.literal(1),
  uuid: z.uuid(),
  /** The disk's when the map was written; one that has grown since has more. */
  sizeBytes: z.int().positive(),
});

export type MapHeader = Pick<z.infer<typeof mapHeaderSchema>, 'uuid' | 'sizeBytes'>;

export function formatMapHeader({ uuid, sizeBytes }: MapHeader): Buffer {
  const line: z.infer<typeof mapHeaderSchema> = { copse: 'overlay', format: 1, uuid, sizeBytes };
  return Buffer.from(`${JSON.stringify(line).padEnd(mapHeaderBytes - 1)}\n`);
}

/** `undefined` where there is no valid header. @throws errors of the operating system */
export function readMapHeader(mapPath: string): MapHeader | undefined {
  const page = Buffer.alloc(mapHeaderBytes);
  const descriptor = openSync(mapPath, 'r');
  try {
    readSync(descriptor, page, 0, mapHeaderBytes, 0);
  } finally {
    closeSync(descriptor);
  }
  try {
    return mapHeaderSchema.safeParse(JSON.parse(page.toString('utf8'))).data;
  } catch {
    return undefined;
  }
}

/** Length of a whole map file. */
export function mapFileBytes(sizeBytes: number): number {
  return mapHeaderBytes + Math.ceil(sizeBytes / blockBytes / blocksPerSector) * sectorBytes;
}

/** Binds a map's sectors to their disk. */
export function recordSeedOf(uuid: string): number {
  return Number.parseInt(uuid.slice(0, 8), 16);
}
