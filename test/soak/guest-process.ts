/**
 * A client of its own process, as a VM is one: a daemon tells clients apart by their processes.
 *
 * Its parent sends one `Order` after another; each is answered by a `Report` with the same number. It ends with its parent.
 */
import process from 'node:process';
import { errorCode, errorMessage } from '../../src/base/error.js';
import { NbdClient } from '../../src/nbd/client/nbd-client.js';
import { fillSectors, sectorBytes, versionsOf } from './pattern.js';

export type Order = { number: number } & (
  | { kind: 'connect'; uri: string; disk: number }
  | { kind: 'write'; sector: number; count: number; version: number; fua: boolean }
  | { kind: 'zero'; sector: number; count: number; fua: boolean; noHole: boolean }
  | { kind: 'trim'; sector: number; count: number; fua: boolean }
  | { kind: 'read'; sector: number; count: number }
  | { kind: 'flush' }
  | { kind: 'disconnect' }
);

export interface Report {
  number: number;
  /** Of a read: the version of each sector. */
  versions?: number[];
  /** Absent: it succeeded. */
  error?: { code: string; message: string };
}

let client: NbdClient | undefined;
let disk = 0;

async function obey(order: Order): Promise<number[] | undefined> {
  if (order.kind === 'connect') {
    disk = order.disk;
    client = await NbdClient.connect(order.uri);
    return undefined;
  }
  if (client === undefined) throw new Error('not connected');
  if (order.kind === 'flush') await client.flush();
  else if (order.kind === 'disconnect') await client.disconnect();
  else {
    const offset = order.sector * sectorBytes;
    const bytes = Buffer.alloc(order.kind === 'write' || order.kind === 'read' ? order.count * sectorBytes : 0);
    const lengthBytes = order.count * sectorBytes;
    if (order.kind === 'write') {
      fillSectors(bytes, disk, order.sector, order.version);
      await client.write(bytes, offset, { fua: order.fua });
    } else if (order.kind === 'zero') await client.writeZeroes(offset, lengthBytes, { fua: order.fua, noHole: order.noHole });
    else if (order.kind === 'trim') await client.trim(offset, lengthBytes, { fua: order.fua });
    else {
      await client.read(offset, lengthBytes, {
        data: (piece, at) => void piece.copy(bytes, at - offset),
        zeroes: (at, zeroBytes) => void bytes.fill(0, at - offset, at - offset + zeroBytes),
      });
      return versionsOf(bytes, disk, order.sector);
    }
  }
  return undefined;
}

process.on('message', (order: Order) => {
  obey(order).then(
    (versions) => process.send?.({ number: order.number, ...(versions && { versions }) } satisfies Report),
    (error: unknown) =>
      process.send?.({
        number: order.number,
        error: { code: errorCode(error), message: errorMessage(error) },
      } satisfies Report),
  );
});
process.on('disconnect', () => process.exit());
