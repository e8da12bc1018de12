/**
 * Translates between error numbers of NBD and error codes of Node.js and the operating system.
 *
 * Source: doc/proto.md, "Error values". A guest never gets ESHUTDOWN, because QEMU would pass it
 * on. A peer learns by it that a node does not own a disk any more. Only the device behind
 * `disk/UUID` uses that code.
 */
import { errorCode } from '../../base/error.js';
import { presentationOf } from '../../base/error-code.js';
import { ErrorNumber } from './constant.js';

const nameOfNumber: ReadonlyMap<number, string> = new Map(Object.entries(ErrorNumber).map(([name, value]) => [value, name]));

/**
 * Returns the number that the server answers an error with. Deadlines, origins and unknown errors
 * are EIO.
 */
export function toNbdError(error: unknown): number {
  return ErrorNumber[presentationOf(errorCode(error)).nbdErrno];
}

/**
 * Returns the name of a number that a server sent. Unknown numbers are `EINVAL`, as the protocol
 * demands of clients.
 */
export function nbdErrorName(error: number): string {
  return nameOfNumber.get(error) ?? 'EINVAL';
}
