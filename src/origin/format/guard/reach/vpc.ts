/**
 * Finds the end of a VHD: of a fixed one by its footer, of a dynamic one by its block allocation
 * table.
 *
 * Source: "Virtual Hard Disk Image Format Specification" (Microsoft), "Hard Disk Footer Format",
 * "Dynamic Disk Header Format", "Block Allocation Table and Data Blocks".
 */
import { readUInt64BE, type TableReader } from './table.js';

const footerBytes = 512;
const sectorBytes = 512;
const dynamic = 3;
const unallocated = 0xffffffff;

export async function checkVpc(reader: TableReader): Promise<void> {
  const head = await reader.header(0, footerBytes);
  const isHead = head.toString('latin1', 0, 8) === 'conectix' && head.length === footerBytes;
  const footer = isHead ? head : await reader.header(Math.max(0, reader.sizeBytes - footerBytes), footerBytes);
  if (footer.length < footerBytes) throw reader.malformed('it has no VHD footer');
  const sizeBytes = readUInt64BE(footer, 48);
  if (footer.readUInt32BE(60) !== dynamic) {
    reader.data(0, sizeBytes);
    return;
  }
  const header = await reader.table(readUInt64BE(footer, 16), 1024);
  const blockBytes = header.readUInt32BE(32);
  const entryCount = header.readUInt32BE(28);
  if (blockBytes < sectorBytes || blockBytes % sectorBytes !== 0) throw reader.malformed(`its blocks have ${blockBytes} bytes`);
  const bitmapBytes = Math.ceil(blockBytes / sectorBytes / 8 / sectorBytes) * sectorBytes;
  let guestOffset = 0;
  for await (const piece of reader.pieces(readUInt64BE(header, 16), entryCount * 4)) {
    for (let at = 0; at < piece.length; at += 4, guestOffset += blockBytes) {
      const entry = piece.readUInt32BE(at);
      if (entry === unallocated || guestOffset >= sizeBytes) continue;
      reader.data(entry * sectorBytes, bitmapBytes + Math.min(blockBytes, sizeBytes - guestOffset));
    }
  }
}
