/**
 * What each sector of a disk may hold after an end of any kind, by the requests that were issued and answered until then: what was flushed, or anything later that was asked for; never else.
 */
import { type LogRecord, RecordKind } from './disk-log.js';
import { applyTo, type Operation, operationAt, sectorBytes } from './disk-workload.js';

interface Version {
  bytes: Buffer;
  operation: Operation | undefined;
  issuedAt: number;
  doneAt: number;
}

interface Flush {
  issuedAt: number;
  doneAt: number;
}

const never = Number.POSITIVE_INFINITY;

export class DiskHistory {
  readonly #sectors: Version[][] = [];
  readonly #flushes: Flush[] = [];

  /** @param initial what the disk held, durably */
  constructor(initial: Buffer, records: readonly LogRecord[], seed: number) {
    const model = Buffer.from(initial);
    for (let at = 0; at < initial.length; at += sectorBytes) {
      const bytes = Buffer.from(initial.subarray(at, at + sectorBytes));
      this.#sectors.push([{ bytes, operation: undefined, issuedAt: -1, doneAt: -1 }]);
    }
    const flying = new Map<number, { versions: Version[]; flush: Flush | undefined; before: Buffer; operation: Operation }>();
    records.forEach((record, at) => {
      const flight = flying.get(record.token);
      if (record.kind === RecordKind.issued) {
        const operation = operationAt(seed, record.token, initial.length);
        const [from, to] = sectorRange(operation);
        const before = Buffer.from(model.subarray(from, to));
        const flush = operation.kind === 'flush' ? { issuedAt: at, doneAt: never } : undefined;
        if (flush) this.#flushes.push(flush);
        const versions = operation.kind === 'flush' || operation.kind === 'read' ? [] : this.#change(model, operation, at);
        flying.set(record.token, { versions, flush, before, operation });
      } else if (record.kind === RecordKind.done && flight !== undefined) {
        for (const version of flight.versions) version.doneAt = at;
        if (flight.flush) flight.flush.doneAt = at;
      } else if (record.kind === RecordKind.refused && flight !== undefined) {
        // Refused requests have changed nothing; nobody else has touched these sectors since.
        const [from, to] = sectorRange(flight.operation);
        flight.before.copy(model, from);
        for (let offset = from; offset < to; offset += sectorBytes) this.#sectors[offset / sectorBytes]?.pop();
      }
    });
  }

  /** Sectors that hold what they may not, after an end at which `records` had so many entries. */
  violations(bytes: Buffer, recordCount: number): string[] {
    let flushedAt = -1;
    for (const flush of this.#flushes) if (flush.doneAt < recordCount) flushedAt = Math.max(flushedAt, flush.issuedAt);
    const wrong: string[] = [];
    this.#sectors.forEach((versions, index) => {
      const found = bytes.subarray(index * sectorBytes, (index + 1) * sectorBytes);
      const isDurable = ({ doneAt, operation }: Version): boolean =>
        doneAt < flushedAt || doneAt === -1 || (operation?.fua === true && doneAt < recordCount);
      const oldest = versions.findLastIndex(isDurable);
      const allowed = versions.filter(({ issuedAt }, at) => at >= oldest && issuedAt < recordCount);
      if (allowed.some((version) => version.bytes.equals(found))) return;
      const known = versions.findIndex((version) => version.bytes.equals(found));
      const what = known >= 0 ? `version ${known}` : 'what was never written';
      wrong.push(`sector ${index} holds ${what}, not one of ${oldest} to ${oldest + allowed.length - 1}`);
    });
    return wrong;
  }

  /** Sectors that do not hold the last that was answered for them. */
  lost(bytes: Buffer): number {
    return this.#sectors.filter((versions, index) => {
      const last = versions.findLast(({ doneAt }) => doneAt < never);
      return (
        last !== undefined && versions.at(-1) === last && !last.bytes.equals(bytes.subarray(index * sectorBytes, (index + 1) * sectorBytes))
      );
    }).length;
  }

  #change(model: Buffer, operation: Operation, at: number): Version[] {
    const [from, to] = sectorRange(operation);
    applyTo(model, operation);
    const added: Version[] = [];
    for (let offset = from; offset < to; offset += sectorBytes) {
      const bytes = Buffer.from(model.subarray(offset, offset + sectorBytes));
      const version = { bytes, operation, issuedAt: at, doneAt: never };
      this.#sectors[offset / sectorBytes]?.push(version);
      added.push(version);
    }
    return added;
  }
}

function sectorRange({ offset, lengthBytes }: Operation): [from: number, to: number] {
  return [Math.floor(offset / sectorBytes) * sectorBytes, Math.ceil((offset + lengthBytes) / sectorBytes) * sectorBytes];
}
