/**
 * Finds the end of a Parallels image by its allocation table.
 *
 * Source: QEMU docs/interop/parallels.txt, "Header", "BAT".
 */
import { readUInt64LE, type TableReader } from './table.js';

const sectorBytes = 512;
const tableOffset = 64;
/** In images of this kind entries count clusters, in the older kind sectors. */
const extendedMagic = 'WithouFreSpacExt';

export async function checkParallels(reader: TableReader): Promise<void> {
  const header = Buffer.alloc(64);
  (await reader.header(0, 64)).copy(header);
  const clusterBytes = header.readUInt32LE(28) * sectorBytes;
  const entryCount = header.readUInt32LE(32);
  const isExtended = header.toString('latin1', 0, 16) === extendedMagic;
  const sizeBytes = (isExtended ? readUInt64LE(header, 36) : header.readUInt32LE(36)) * sectorBytes;
  if (clusterBytes === 0) throw reader.malformed('its clusters have no size');
  const unitBytes = isExtended ? clusterBytes : sectorBytes;
  let guestOffset = 0;
  for await (const piece of reader.pieces(tableOffset, entryCount * 4)) {
    for (let at = 0; at < piece.length; at += 4, guestOffset += clusterBytes) {
      const entry = piece.readUInt32LE(at);
      if (entry === 0 || guestOffset >= sizeBytes) continue;
      reader.data(entry * unitBytes, Math.min(clusterBytes, sizeBytes - guestOffset));
    }
  }
}
