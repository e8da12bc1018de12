/**
 * Finds the end of a VHDX by its block allocation table.
 *
 * Source: MS-VHDX, "Region Table", "Metadata Region", "BAT".
 */
import { findVhdxMetadata, findVhdxRegion } from '../vhdx-table.js';
import { readUInt64LE, type TableReader } from './table.js';

const MiB = 1024 * 1024;
/** States of a payload block that has data: fully present, partially present. */
const present: readonly number[] = [6, 7];
const chunkSectorCount = 2 ** 23;

export async function checkVhdx(reader: TableReader): Promise<void> {
  const read = (offset: number, lengthBytes: number): Promise<Buffer> => reader.header(offset, lengthBytes);
  const bat = await findVhdxRegion(read, 'bat');
  const metadata = await findVhdxRegion(read, 'metadata');
  if (bat === undefined || metadata === undefined) throw reader.malformed('it has no region table');
  const blockBytes = (await findVhdxMetadata(read, metadata.offset, 'fileParameters', 8))?.readUInt32LE(0);
  const size = await findVhdxMetadata(read, metadata.offset, 'diskSize', 8);
  const sectorBytes = (await findVhdxMetadata(read, metadata.offset, 'sectorSize', 4))?.readUInt32LE(0);
  if (blockBytes === undefined || size === undefined || (sectorBytes !== 512 && sectorBytes !== 4096)) {
    throw reader.malformed('its metadata are cut off');
  }
  if (blockBytes < MiB || blockBytes > 256 * MiB) throw reader.malformed(`its blocks have ${blockBytes} bytes`);
  const sizeBytes = readUInt64LE(size, 0);
  // After this many payload blocks comes an entry for their sector bitmap, which only differencing
  // disks use.
  const perChunk = Math.floor((chunkSectorCount * sectorBytes) / blockBytes);
  const blockCount = Math.ceil(sizeBytes / blockBytes);
  const entryCount = blockCount + Math.floor((blockCount - 1) / perChunk);
  let index = 0;
  let guestOffset = 0;
  for await (const piece of reader.pieces(bat.offset, Math.min(bat.lengthBytes, entryCount * 8))) {
    for (let at = 0; at < piece.length; at += 8, index += 1) {
      if (index % (perChunk + 1) === perChunk) continue;
      const offset = Math.floor(readUInt64LE(piece, at) / MiB) * MiB;
      if (present.includes(piece.readUInt8(at) & 7)) reader.data(offset, Math.min(blockBytes, sizeBytes - guestOffset));
      guestOffset += blockBytes;
    }
  }
}
