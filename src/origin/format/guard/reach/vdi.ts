/**
 * Finds the end of a VDI image by its block map.
 *
 * Source: QEMU block/vdi.c, `VdiHeader`.
 */
import { readUInt64LE, type TableReader } from './table.js';

/** Entries from here on stand for blocks without data: discarded ones, and those never written. */
const firstUnallocated = 0xfffffffe;
const maxBlockCount = 0x3fffffff;

export async function checkVdi(reader: TableReader): Promise<void> {
  const header = Buffer.alloc(512);
  (await reader.header(0, 512)).copy(header);
  const dataOffset = header.readUInt32LE(0x158);
  const sizeBytes = readUInt64LE(header, 0x170);
  const blockBytes = header.readUInt32LE(0x178);
  const blockCount = header.readUInt32LE(0x180);
  if (blockBytes < 512 || blockCount > maxBlockCount) throw reader.malformed(`it has ${blockCount} blocks of ${blockBytes} bytes`);
  let guestOffset = 0;
  for await (const piece of reader.pieces(header.readUInt32LE(0x154), blockCount * 4)) {
    for (let at = 0; at < piece.length; at += 4, guestOffset += blockBytes) {
      const entry = piece.readUInt32LE(at);
      if (entry >= firstUnallocated || guestOffset >= sizeBytes) continue;
      reader.data(dataOffset + entry * blockBytes, Math.min(blockBytes, sizeBytes - guestOffset));
    }
  }
}
