/**
 * Guard of VHDX: a differencing disk, whose parent QEMU would read as zeros. Looks up one entry in each of two small tables.
 *
 * Source: MS-VHDX, "Region Table", "Metadata Region", "File Parameters".
 */
import type { Inspect, Subject } from './inspection.js';
import { convertRemedy, malformed, refusal } from './refusal.js';

const regionTable = { offset: 192 * 1024, entryOffset: 16, maxEntryCount: 2047 };
const metadataTable = { entryOffset: 32, maxEntryCount: 2047 };
const metadataRegion = Buffer.from('06a27c8b90479a4bb8fe575f050f886e', 'hex');
const fileParameters = Buffer.from('3767a1ca36fa434db3b633f0aa44e76b', 'hex');
const entryBytes = 32;
const hasParent = 2;

export const inspectVhdx: Inspect = async (subject) => {
  const { url, read } = subject;
  if ((await read(0, 8)).toString('latin1') !== 'vhdxfile') throw malformed(url, 'vhdx', 'it has no VHDX signature');
  const region = await findMetadata(subject);
  const table = await read(region, 64 * 1024);
  if (table.length < metadataTable.entryOffset || table.toString('latin1', 0, 8) !== 'metadata')
    throw malformed(url, 'vhdx', 'it has no metadata');
  const entry = findEntry(table, metadataTable.entryOffset, Math.min(table.readUInt16LE(10), metadataTable.maxEntryCount), fileParameters);
  if (entry === undefined) throw malformed(url, 'vhdx', 'it has no file parameters');
  const parameters = await read(region + entry.readUInt32LE(16), 8);
  if (parameters.length < 8) throw malformed(url, 'vhdx', 'its file parameters are cut off');
  if ((parameters.readUInt32LE(4) & hasParent) !== 0) throw refusal(url, 'it holds only the differences to a parent', convertRemedy);
  return {};
};

/** Offset of the metadata region in bytes. */
async function findMetadata({ url, read }: Subject): Promise<number> {
  const table = await read(regionTable.offset, 64 * 1024);
  if (table.length < regionTable.entryOffset || table.toString('latin1', 0, 4) !== 'regi')
    throw malformed(url, 'vhdx', 'it has no region table');
  const entry = findEntry(table, regionTable.entryOffset, Math.min(table.readUInt32LE(8), regionTable.maxEntryCount), metadataRegion);
  const offset = entry?.readBigUInt64LE(16);
  if (offset === undefined || offset > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed(url, 'vhdx', 'it has no metadata region');
  return Number(offset);
}

function findEntry(table: Buffer, firstOffset: number, entryCount: number, guid: Buffer): Buffer | undefined {
  for (let index = 0; index < entryCount; index += 1) {
    const entry = table.subarray(firstOffset + index * entryBytes, firstOffset + (index + 1) * entryBytes);
    if (entry.length < entryBytes) return undefined;
    if (entry.subarray(0, 16).equals(guid)) return entry;
  }
  return undefined;
}
