/**
 * Random requests to a disk, each determined by a seed and its number alone, so that another process knows what was asked for when it is told the numbers; and
 * several callers that send them.
 *
 * Requests that touch the same sector are never under way together: a sector has one history.
 */
import { errorCode } from '../../src/base/error.js';
import type { BlockDevice } from '../../src/device/device.js';
import { pattern } from '../conformance/content.js';

export const sectorBytes = 512;
const blockBytes = 4096;

export interface Operation {
  index: number;
  kind: 'read' | 'write' | 'zero' | 'trim' | 'flush';
  offset: number;
  lengthBytes: number;
  fua: boolean;
  noHole: boolean;
  fastOnly: boolean;
}

/** Numbers below `limit` from a seed (splitmix32). */
export function randomNumbers(seed: number): (limit: number) => number {
  let state = seed | 0;
  return (limit) => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return Math.floor((((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32) * limit);
  };
}

const kinds: Operation['kind'][] = ['write', 'write', 'write', 'write', 'zero', 'zero', 'trim', 'trim', 'read', 'read', 'flush'];

export function operationAt(seed: number, index: number, sizeBytes: number): Operation {
  const random = randomNumbers(Math.imul(seed, 7919) ^ Math.imul(index + 1, 104729));
  const kind = kinds[random(kinds.length)] ?? 'read';
  // Some blocks are hot, so that histories are long.
  const block = random(3) === 0 ? random(sizeBytes / blockBytes) : random(Math.min(24, sizeBytes / blockBytes));
  const shift = random(2) === 0 ? 0 : random(4) === 0 ? random(blockBytes) : random(8) * sectorBytes;
  const offset = block * blockBytes + shift;
  const lengths = [sectorBytes, blockBytes, 3 * blockBytes, 1 + random(2 * blockBytes), 1 + random(60_000)];
  const lengthBytes = Math.min(lengths[random(lengths.length)] ?? 1, sizeBytes - offset);
  return { index, kind, offset, lengthBytes, fua: random(8) === 0, noHole: random(2) === 0, fastOnly: random(4) === 0 };
}

/** What a write writes. */
export function payloadOf({ index, lengthBytes }: Operation): Buffer {
  return pattern(lengthBytes, index + 1);
}

/** Does to the model what a request that succeeded does to the disk. */
export function applyTo(model: Buffer, operation: Operation): void {
  const { kind, offset, lengthBytes } = operation;
  const end = offset + lengthBytes;
  if (kind === 'write') payloadOf(operation).copy(model, offset);
  else if (kind === 'zero') model.fill(0, offset, end);
  else if (kind === 'trim') {
    const [from, to] = [Math.ceil(offset / blockBytes) * blockBytes, Math.floor(end / blockBytes) * blockBytes];
    if (from < to) model.fill(0, from, to);
  }
}

/** Sends a request. Resolves to whether it was done: fast zeroes may be refused. A read is compared with the model. */
async function send(device: BlockDevice, operation: Operation, model: Buffer): Promise<boolean> {
  const { index, kind, offset, lengthBytes, fua, noHole, fastOnly } = operation;
  if (kind === 'flush') await device.flush();
  else if (kind === 'write') await device.write(payloadOf(operation), offset, { fua });
  else if (kind === 'trim') await device.trim(offset, lengthBytes, { fua });
  else if (kind === 'zero') {
    try {
      await device.writeZeroes(offset, lengthBytes, { fua, noHole, fastOnly });
    } catch (error) {
      if (fastOnly && errorCode(error) === 'ENOTSUP') return false;
      throw error;
    }
  } else {
    const now = Buffer.alloc(lengthBytes, 0xaa);
    const later = Buffer.alloc(lengthBytes, 0xaa);
    const expected = model.subarray(offset, offset + lengthBytes);
    if (device.isZeroNow(offset, lengthBytes) && !expected.every((byte) => byte === 0)) throw new Error(`read ${index} has no zeros`);
    if (device.readNow(now, 0, lengthBytes, offset) && !now.equals(expected)) throw new Error(`read ${index} is wrong at once`);
    await device.read(later, offset);
    if (!later.equals(expected)) throw new Error(`read ${index} of ${lengthBytes} at ${offset} is wrong`);
  }
  return true;
}

export interface WorkloadOptions {
  device: BlockDevice;
  /** What the disk holds; kept up. */
  model: Buffer;
  /** The next request, or `undefined` when it is enough. */
  next: () => Operation | undefined;
  callerCount: number;
  onIssue?: (operation: Operation) => void;
  onDone?: (operation: Operation, done: boolean) => void;
}

/** Resolves when all requests are answered; rejects with the first that failed, or read something wrong. */
export async function runWorkload({ device, model, next, callerCount, onIssue, onDone }: WorkloadOptions): Promise<void> {
  const flying = new Set<{ operation: Operation; end: Promise<void> }>();
  const overlapping = ({ kind, offset, lengthBytes }: Operation) => {
    const first = Math.floor(offset / sectorBytes);
    const last = Math.floor((offset + lengthBytes - 1) / sectorBytes);
    return [...flying].find(
      ({ operation: other }) =>
        kind !== 'flush' &&
        other.kind !== 'flush' &&
        first <= Math.floor((other.offset + other.lengthBytes - 1) / sectorBytes) &&
        last >= Math.floor(other.offset / sectorBytes),
    );
  };
  let failed = false;
  const caller = async (): Promise<void> => {
    for (let operation = next(); operation !== undefined && !failed; operation = next()) {
      for (let other = overlapping(operation); other !== undefined; other = overlapping(operation)) await other.end;
      let settle = (): void => {};
      const flight = { operation, end: new Promise<void>((resolve) => (settle = resolve)) };
      flying.add(flight);
      try {
        onIssue?.(operation);
        const done = await send(device, operation, model);
        if (done) applyTo(model, operation);
        onDone?.(operation, done);
      } catch (error) {
        failed = true;
        throw error;
      } finally {
        flying.delete(flight);
        settle();
      }
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: callerCount }, caller));
  const wrong = ends.find((end) => end.status === 'rejected');
  if (wrong !== undefined) throw wrong.reason;
}
