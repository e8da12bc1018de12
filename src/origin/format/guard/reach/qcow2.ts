/**
 * Finds the end of a qcow2 image.
 *
 * The refcounts give it in three reads: the last used cluster is the end. The mapping tables (L1,
 * L2) decide instead in three cases: the refcounts name more than the file has, the file ends
 * inside a cluster, or the image was not closed cleanly. A crash leaves clusters that are counted
 * and not mapped, and those may lie beyond the end of a sound file.
 *
 * Source: QEMU docs/interop/qcow2.txt, "Header", "Host cluster management", "Cluster mapping".
 */
import { readUInt64BE, TableBudgetError, type TableReader } from './table.js';

interface Header {
  clusterBits: number;
  clusterBytes: number;
  sizeBytes: number;
  l1: { offset: number; count: number };
  refcounts: { offset: number; lengthBytes: number; bits: number };
  isDirty: boolean;
  /** Bytes of an L2 entry: 16 with subclusters. */
  entryBytes: number;
}

const incompatible = { dirty: 1, corrupt: 2, extendedL2: 16 };
const maxL1Count = 4 * 1024 * 1024;

export async function checkQcow2(reader: TableReader): Promise<void> {
  const header = await readHeader(reader);
  const { clusterBytes, isDirty } = header;
  const endOffset = isDirty ? Number.POSITIVE_INFINITY : await refcountedEnd(reader, header);
  if (endOffset <= reader.sizeBytes) return;
  try {
    await walk(reader, header);
  } catch (error) {
    // The file ends inside its last cluster, as many sound ones do. Only that cluster is in doubt.
    if (error instanceof TableBudgetError && endOffset - clusterBytes < reader.sizeBytes) return;
    throw error;
  }
}

async function readHeader(reader: TableReader): Promise<Header> {
  const bytes = Buffer.alloc(104);
  (await reader.header(0, 104)).copy(bytes);
  const version = bytes.readUInt32BE(4);
  const clusterBits = bytes.readUInt32BE(20);
  if (clusterBits < 9 || clusterBits > 21) throw reader.malformed(`its clusters have 2^${clusterBits} bytes`);
  const clusterBytes = 2 ** clusterBits;
  const features = version >= 3 ? bytes.readUInt32BE(76) : 0;
  const order = version >= 3 ? bytes.readUInt32BE(96) : 4;
  if (order > 6) throw reader.malformed(`its refcounts have 2^${order} bits`);
  const l1 = { offset: readUInt64BE(bytes, 40), count: bytes.readUInt32BE(36) };
  if (l1.count > maxL1Count) throw reader.malformed(`its L1 table has ${l1.count} entries`);
  return {
    clusterBits,
    clusterBytes,
    sizeBytes: readUInt64BE(bytes, 24),
    l1,
    refcounts: { offset: readUInt64BE(bytes, 48), lengthBytes: bytes.readUInt32BE(56) * clusterBytes, bits: 2 ** order },
    isDirty: (features & (incompatible.dirty | incompatible.corrupt)) !== 0,
    entryBytes: (features & incompatible.extendedL2) === 0 ? 8 : 16,
  };
}

/** @returns the end of the last used cluster */
async function refcountedEnd(reader: TableReader, { clusterBytes, refcounts }: Header): Promise<number> {
  const blocks: { offset: number; index: number }[] = [];
  let index = 0;
  for await (const piece of reader.pieces(refcounts.offset, refcounts.lengthBytes)) {
    for (let at = 0; at < piece.length; at += 8, index += 1) {
      const offset = readUInt64BE(piece, at);
      if (offset !== 0) blocks.push({ offset, index });
    }
  }
  for (const { offset, index: blockIndex } of blocks.reverse()) {
    const block = await blockOf(reader, offset, clusterBytes);
    const last = block.findLastIndex((byte) => byte !== 0);
    if (last < 0) continue;
    const perBlock = (clusterBytes * 8) / refcounts.bits;
    return (blockIndex * perBlock + Math.floor((last * 8) / refcounts.bits) + 1) * clusterBytes;
  }
  return 0;
}

/** Reads a cluster of up to 2 MiB. */
async function blockOf(reader: TableReader, offset: number, clusterBytes: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of reader.pieces(offset, clusterBytes)) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Visits each cluster that the guest can read. */
async function walk(reader: TableReader, header: Header): Promise<void> {
  const { clusterBytes, entryBytes, l1 } = header;
  const perTable = clusterBytes / entryBytes;
  let guestOffset = 0;
  for await (const l1Piece of reader.pieces(l1.offset, l1.count * 8)) {
    for (let at = 0; at < l1Piece.length; at += 8, guestOffset += perTable * clusterBytes) {
      const offset = offsetOf(l1Piece, at);
      if (offset === 0) continue;
      const table = await blockOf(reader, offset, clusterBytes);
      for (let index = 0; index < perTable; index += 1) checkEntry(reader, header, table, index, guestOffset + index * clusterBytes);
    }
  }
}

function checkEntry(reader: TableReader, header: Header, table: Buffer, index: number, guestOffset: number): void {
  const { clusterBits, clusterBytes, entryBytes, sizeBytes } = header;
  const at = index * entryBytes;
  const high = table.readUInt32BE(at);
  if ((high & 0x4000_0000) !== 0) {
    // Compressed: the offset in bytes below, the count of further sectors above.
    const entry = table.readBigUInt64BE(at) & ((1n << 62n) - 1n);
    const offsetBits = BigInt(62 - (clusterBits - 8));
    const offset = Number(entry & ((1n << offsetBits) - 1n));
    const sectorCount = Number(entry >> offsetBits);
    // The last sector need not be whole.
    reader.data(Math.floor(offset / 512) * 512 + sectorCount * 512, 1);
    return;
  }
  const offset = offsetOf(table, at);
  const isZero = (table.readUInt32BE(at + 4) & 1) !== 0;
  if (offset === 0 || guestOffset >= sizeBytes) return;
  if (entryBytes === 16) reader.data(offset, 1);
  else if (!isZero) reader.data(offset, Math.min(clusterBytes, sizeBytes - guestOffset));
}

/** Bits 9 to 55. */
function offsetOf(table: Buffer, at: number): number {
  const high = table.readUInt32BE(at) & 0x00ff_ffff;
  const low = (table.readUInt32BE(at + 4) & 0xffff_fe00) >>> 0;
  return high * 2 ** 32 + low;
}
