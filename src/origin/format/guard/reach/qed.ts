/**
 * Finds the end of a QED image by its L1 and L2 tables.
 *
 * Source: QEMU docs/interop/qed_spec.txt, "Header", "Tables".
 */
import { readUInt64LE, type TableReader } from './table.js';

/** An entry of 1 stands for a cluster of zeros. */
const firstOffset = 2;

export async function checkQed(reader: TableReader): Promise<void> {
  const header = Buffer.alloc(64);
  (await reader.header(0, 64)).copy(header);
  const clusterBytes = header.readUInt32LE(4);
  const tableClusters = header.readUInt32LE(8);
  if (clusterBytes < 4096 || clusterBytes > 64 * 1024 * 1024 || tableClusters < 1 || tableClusters > 16) {
    throw reader.malformed(`its clusters have ${clusterBytes} bytes, its tables ${tableClusters} clusters`);
  }
  const tableBytes = clusterBytes * tableClusters;
  const sizeBytes = readUInt64LE(header, 48);
  let guestOffset = 0;
  for await (const l1 of reader.pieces(readUInt64LE(header, 40), tableBytes)) {
    for (let at = 0; at < l1.length; at += 8, guestOffset += (tableBytes / 8) * clusterBytes) {
      const offset = readUInt64LE(l1, at);
      if (offset < firstOffset) continue;
      let dataGuestOffset = guestOffset;
      for await (const l2 of reader.pieces(offset, tableBytes)) {
        for (let index = 0; index < l2.length; index += 8, dataGuestOffset += clusterBytes) {
          const dataOffset = readUInt64LE(l2, index);
          if (dataOffset < firstOffset || dataGuestOffset >= sizeBytes) continue;
          reader.data(dataOffset, Math.min(clusterBytes, sizeBytes - dataGuestOffset));
        }
      }
    }
  }
}
