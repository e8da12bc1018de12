/** The guest's records (guest/scribe.c), as they must lie on its disk. */
import { MiB } from '../../src/base/size.js';

/** The part of the disk in which they lie. */
export const recordsOffset = 16 * MiB;
/** Threads of the guest that write records (`writers` in guest/scribe.c). */
export const writerCount = 3;
/** A multiple of the guest's writers. */
export const slotCount = 1536;
const recordBytes = 1536;
const wordCount = recordBytes / 4;
export const recordsBytes = slotCount * recordBytes;

function mix(value: number): number {
  let x = value >>> 0;
  x ^= x >>> 16;
  x = Math.imul(x, 0x7feb352d);
  x ^= x >>> 15;
  x = Math.imul(x, 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

function recordOf(number: number): Buffer {
  const record = Buffer.alloc(recordBytes);
  record.writeUInt32LE(number, 0);
  for (let index = 1; index < wordCount - 1; index += 1) record.writeUInt32LE(mix(number * wordCount + index), index * 4);
  let sum = 0;
  for (let index = 0; index < wordCount - 1; index += 1) sum = (sum + mix(record.readUInt32LE(index * 4) + index)) >>> 0;
  record.writeUInt32LE(sum, recordBytes - 4);
  return record;
}

/**
 * What is wrong with the records on the disk, given those that the guest said were durable. Each slot must hold, whole, the newest of its records that was reported; or the
 * one after it, which may have been written and not reported.
 *
 * @param region the disk's bytes from `recordsOffset`, `recordsBytes` of them
 */
export function wrongRecords(region: Buffer, reported: Iterable<number>): string[] {
  const newest = new Map<number, number>();
  for (const number of reported) newest.set(number % slotCount, Math.max(number, newest.get(number % slotCount) ?? 0));
  const wrong: string[] = [];
  for (const [slot, number] of newest) {
    const found = region.subarray(slot * recordBytes, (slot + 1) * recordBytes);
    const stands = found.readUInt32LE(0);
    if (stands !== number && stands !== number + slotCount) wrong.push(`slot ${slot}: record ${stands} where ${number} was reported`);
    else if (!found.equals(recordOf(stands))) wrong.push(`slot ${slot}: record ${stands} is damaged`);
  }
  return wrong;
}
