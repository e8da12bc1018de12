/**
 * Finds the end of a sparse VMDK: of one that was written as a stream by its footer, of any other
 * by its grain directory and tables.
 *
 * Sources: "Virtual Disk Format 1.1" (VMware), "Hosted Sparse Extents", "Stream-Optimized
 * Compressed Sparse Extents"; QEMU block/vmdk.c, `vmdk_open_vmdk4`.
 */
import { readUInt64LE, type TableReader } from './table.js';

const sectorBytes = 512;
const atEnd = 2 ** 64;
const flag = { zeroedGrain: 4, compressed: 0x10000 };
const footerMarker = 3;
/** Tables that lie behind one another are read together. */
const maxRunBytes = 256 * 1024;

export async function checkVmdk(reader: TableReader): Promise<void> {
  const header = Buffer.alloc(512);
  (await reader.header(0, 512)).copy(header);
  const directoryOffset = readUInt64LE(header, 56);
  if (directoryOffset >= atEnd) return checkFooter(reader);
  const grainSectors = readUInt64LE(header, 20);
  const perTable = header.readUInt32LE(44);
  const capacity = readUInt64LE(header, 12);
  if (grainSectors === 0 || perTable === 0 || perTable > 512 || grainSectors > 2 ** 21) {
    throw reader.malformed(`its grains have ${grainSectors} sectors, its tables ${perTable} entries`);
  }
  const flags = header.readUInt32LE(8);
  const firstGrain = (flags & flag.zeroedGrain) === 0 ? 1 : 2;
  let last = 0;
  const directoryBytes = Math.ceil(capacity / (grainSectors * perTable)) * 4;
  for await (const tables of tableRuns(reader, directoryOffset * sectorBytes, directoryBytes, perTable * 4)) {
    for (let at = 0; at + 4 <= tables.length; at += 4) {
      const entry = tables.readUInt32LE(at);
      if (entry >= firstGrain && entry > last) last = entry;
    }
  }
  if (last === 0) return;
  // A guest that wrote only a part of a grain leaves it partial.
  reader.data(last * sectorBytes, 1);
  if ((flags & flag.compressed) === 0) return;
  const marker = await reader.table(last * sectorBytes, 12);
  reader.data(last * sectorBytes, 12 + marker.readUInt32LE(8));
}

/**
 * A stream ends with a marker, the footer (a header that knows the grain directory), and a sector
 * of zeros.
 */
async function checkFooter(reader: TableReader): Promise<void> {
  const end = await reader.header(Math.max(0, reader.sizeBytes - 3 * sectorBytes), 3 * sectorBytes);
  const isFooter = end.length === 3 * sectorBytes && end.readUInt32LE(12) === footerMarker && end.toString('latin1', 512, 516) === 'KDMV';
  // The footer would be the next bytes.
  if (!isFooter) reader.data(reader.sizeBytes, 3 * sectorBytes);
}

/** The grain tables in the order of the directory, adjacent ones as one piece. */
async function* tableRuns(
  reader: TableReader,
  directoryOffset: number,
  directoryBytes: number,
  tableBytes: number,
): AsyncGenerator<Buffer> {
  let run = { offset: 0, lengthBytes: 0 };
  for await (const directory of reader.pieces(directoryOffset, directoryBytes)) {
    for (let at = 0; at + 4 <= directory.length; at += 4) {
      const sector = directory.readUInt32LE(at);
      if (sector === 0) continue;
      const offset = sector * sectorBytes;
      if (offset === run.offset + run.lengthBytes && run.lengthBytes + tableBytes <= maxRunBytes) {
        run.lengthBytes += tableBytes;
        continue;
      }
      if (run.lengthBytes > 0) yield await reader.table(run.offset, run.lengthBytes);
      run = { offset, lengthBytes: tableBytes };
    }
  }
  if (run.lengthBytes > 0) yield await reader.table(run.offset, run.lengthBytes);
}
