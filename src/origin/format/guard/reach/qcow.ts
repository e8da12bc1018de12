/**
 * Finds the end of a qcow image (version 1) by its L1 and L2 tables.
 *
 * Source: QEMU block/qcow.c, `QCowHeader`, `get_cluster_offset`.
 */
import { readUInt64BE, type TableReader } from './table.js';

export async function checkQcow(reader: TableReader): Promise<void> {
  const header = Buffer.alloc(48);
  (await reader.header(0, 48)).copy(header);
  const sizeBytes = readUInt64BE(header, 24);
  const clusterBits = header.readUInt8(32);
  const l2Bits = header.readUInt8(33);
  if (clusterBits < 9 || clusterBits > 16 || l2Bits < 6 || l2Bits > 13) {
    throw reader.malformed(`its clusters have 2^${clusterBits} bytes, its tables 2^${l2Bits} entries`);
  }
  const clusterBytes = 2 ** clusterBits;
  const perTable = 2 ** l2Bits;
  const tableCount = Math.ceil(sizeBytes / (clusterBytes * perTable));
  const compressedBits = BigInt(63 - clusterBits);
  let guestOffset = 0;
  for await (const l1 of reader.pieces(readUInt64BE(header, 40), tableCount * 8)) {
    for (let at = 0; at < l1.length; at += 8, guestOffset += perTable * clusterBytes) {
      const offset = readUInt64BE(l1, at);
      if (offset === 0) continue;
      const table = await reader.table(offset, perTable * 8);
      for (let index = 0; index < perTable; index += 1) {
        const entry = table.readBigUInt64BE(index * 8);
        const guestEnd = guestOffset + index * clusterBytes;
        if (entry === 0n || guestEnd >= sizeBytes) continue;
        if (entry >> 63n === 0n) reader.data(Number(entry), Math.min(clusterBytes, sizeBytes - guestEnd));
        else {
          const lengthBytes = Number((entry >> compressedBits) & BigInt(clusterBytes - 1));
          reader.data(Number(entry & ((1n << compressedBits) - 1n)), lengthBytes);
        }
      }
    }
  }
}
