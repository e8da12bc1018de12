/**
 * Entries of the two small tables of a VHDX.
 *
 * Source: MS-VHDX, "Region Table", "Metadata Region".
 */
import type { ReadContent } from '../content.js';

const regionTable = { offset: 192 * 1024, entryOffset: 16 };
const metadataTable = { entryOffset: 32 };
const maxEntryCount = 2047;
const entryBytes = 32;
const tableBytes = 64 * 1024;

const regions = {
  bat: Buffer.from('6677c22d23f600429d64115e9bfd4a08', 'hex'),
  metadata: Buffer.from('06a27c8b90479a4bb8fe575f050f886e', 'hex'),
};
const items = {
  fileParameters: Buffer.from('3767a1ca36fa434db3b633f0aa44e76b', 'hex'),
  diskSize: Buffer.from('2442a52f1bcd7648b2115dbed83bf4b8', 'hex'),
  sectorSize: Buffer.from('1dbf41816fa90947ba47f233a8faab5f', 'hex'),
};

/** @returns a region, in bytes of the file; `undefined` if the table or its entry is missing */
export async function findVhdxRegion(
  read: ReadContent,
  region: keyof typeof regions,
): Promise<{ offset: number; lengthBytes: number } | undefined> {
  const table = await read(regionTable.offset, tableBytes);
  if (table.length < regionTable.entryOffset || table.toString('latin1', 0, 4) !== 'regi') return undefined;
  const entry = findEntry(table, regionTable.entryOffset, table.readUInt32LE(8), regions[region]);
  const offset = entry?.readBigUInt64LE(16);
  if (entry === undefined || offset === undefined || offset > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  return { offset: Number(offset), lengthBytes: entry.readUInt32LE(24) };
}

/** @returns the value of an item of the metadata region; `undefined` if it is missing or cut off */
export async function findVhdxMetadata(
  read: ReadContent,
  regionOffset: number,
  item: keyof typeof items,
  lengthBytes: number,
): Promise<Buffer | undefined> {
  const table = await read(regionOffset, tableBytes);
  if (table.length < metadataTable.entryOffset || table.toString('latin1', 0, 8) !== 'metadata') return undefined;
  const entry = findEntry(table, metadataTable.entryOffset, table.readUInt16LE(10), items[item]);
  if (entry === undefined) return undefined;
  const value = await read(regionOffset + entry.readUInt32LE(16), lengthBytes);
  return value.length < lengthBytes ? undefined : value;
}

function findEntry(table: Buffer, firstOffset: number, entryCount: number, guid: Buffer): Buffer | undefined {
  for (let index = 0; index < Math.min(entryCount, maxEntryCount); index += 1) {
    const entry = table.subarray(firstOffset + index * entryBytes, firstOffset + (index + 1) * entryBytes);
    if (entry.length < entryBytes) return undefined;
    if (entry.subarray(0, 16).equals(guid)) return entry;
  }
  return undefined;
}
