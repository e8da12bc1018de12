/**
 * Error numbers of NBD and codes of Node and of the operating system, both ways.
 *
 * Source: doc/proto.md, "Error values". ESHUTDOWN is never sent to a guest: QEMU would hand it on. Peers are told by it that a node does not own a disk any more, and
 * only the device behind `disk/UUID` has the code for it.
 */
import { errorCode } from '../../base/error.js';
import { ErrorNumber } from './constant.js';

const numberOfCode: Readonly<Record<string, number>> = {
  EPERM: ErrorNumber.EPERM,
  EACCES: ErrorNumber.EPERM,
  EROFS: ErrorNumber.EPERM,
  EIO: ErrorNumber.EIO,
  ENOMEM: ErrorNumber.ENOMEM,
  EINVAL: ErrorNumber.EINVAL,
  ENOSPC: ErrorNumber.ENOSPC,
  EFBIG: ErrorNumber.ENOSPC,
  EDQUOT: ErrorNumber.ENOSPC,
  EOVERFLOW: ErrorNumber.EOVERFLOW,
  ENOTSUP: ErrorNumber.ENOTSUP,
  EOPNOTSUPP: ErrorNumber.ENOTSUP,
  ERR_PEER_NOT_OWNER: ErrorNumber.ESHUTDOWN,
};

const nameOfNumber: ReadonlyMap<number, string> = new Map(Object.entries(ErrorNumber).map(([name, value]) => [value, name]));

/** The number that the server answers with for whatever was thrown: deadlines, origins and everything unknown are EIO. */
export function toNbdError(error: unknown): number {
  const code = errorCode(error);
  return Object.hasOwn(numberOfCode, code) ? (numberOfCode[code] ?? ErrorNumber.EIO) : ErrorNumber.EIO;
}

/** The name of a number that a server sent. Unknown ones are `EINVAL`, as the protocol asks of clients. */
export function nbdErrorName(error: number): string {
  return nameOfNumber.get(error) ?? 'EINVAL';
}
