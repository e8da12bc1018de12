/**
 * Sectors that say what they are: which disk, which sector, which write. Whoever reads one knows its history without a copy of it.
 *
 * Version 0 is zeros, version 1 is what the image below the disk holds, later versions are writes.
 */

export const sectorBytes = 512;
export const zeroVersion = 0;
export const imageVersion = 1;
/** Not a sector of any version: torn, of another disk, or of another place. */
export const foreign = -1;

const magic = 0x43_6f_70_73;
const recordBytes = 16;

/** @param disk number of the disk, from 1 */
export function fillSectors(target: Buffer, disk: number, firstSector: number, version: number): void {
  for (let at = 0; at < target.length; at += sectorBytes) {
    const record = recordOf(disk, firstSector + at / sectorBytes, version);
    target.fill(record, at, at + sectorBytes);
  }
}

/** The version of each sector, `foreign` where it has none. */
export function versionsOf(source: Buffer, disk: number, firstSector: number): number[] {
  const versions: number[] = [];
  for (let at = 0; at < source.length; at += sectorBytes) {
    versions.push(versionOf(source.subarray(at, at + sectorBytes), disk, firstSector + at / sectorBytes));
  }
  return versions;
}

function versionOf(bytes: Buffer, disk: number, sector: number): number {
  const version = bytes.readUInt32LE(12);
  return bytes.equals(Buffer.alloc(sectorBytes, recordOf(disk, sector, version))) ? version : foreign;
}

function recordOf(disk: number, sector: number, version: number): Buffer {
  const record = Buffer.alloc(recordBytes);
  if (version === zeroVersion) return record;
  record.writeUInt32LE(magic, 0);
  record.writeUInt32LE(version === imageVersion ? 0 : disk, 4);
  record.writeUInt32LE(sector, 8);
  record.writeUInt32LE(version, 12);
  return record;
}
