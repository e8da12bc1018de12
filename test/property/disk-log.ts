/** The log of a process that writes to a disk: what it asked the disk for and was answered (`disk-child.ts`), and what went to the files (`power-loss.c`), in one order. */

export const RecordKind = { write: 1, fallocate: 2, truncate: 3, sync: 4, end: 5, issued: 100, done: 101, refused: 102 } as const;

export interface LogRecord {
  kind: number;
  /** Index of the file. */
  file: number;
  /** Of what is begun and its end; or the number of the request. */
  token: number;
  offset: number;
  /** Of an end the result of the call. */
  lengthBytes: number;
  flags: number;
  payload: Buffer;
}

/** As `struct header` there. */
const headerBytes = 40;

export function requestRecord(kind: number, index: number): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeUInt32LE(kind, 0);
  bytes.writeBigUInt64LE(BigInt(index), 8);
  return bytes;
}

/** A record that was cut off at the end counts as not written. */
export function parseLog(log: Buffer): LogRecord[] {
  const records: LogRecord[] = [];
  for (let at = 0; at + headerBytes <= log.length; ) {
    const kind = log.readUInt32LE(at);
    const lengthBytes = Number(log.readBigInt64LE(at + 24));
    const payloadBytes = kind === RecordKind.write ? lengthBytes : 0;
    const payload = log.subarray(at + headerBytes, at + headerBytes + payloadBytes);
    if (payload.length < payloadBytes) break;
    records.push({
      kind,
      file: log.readUInt32LE(at + 4),
      token: Number(log.readBigUInt64LE(at + 8)),
      offset: Number(log.readBigUInt64LE(at + 16)),
      lengthBytes,
      flags: Number(log.readBigUInt64LE(at + 32)),
      payload,
    });
    at += headerBytes + payloadBytes;
  }
  return records;
}
