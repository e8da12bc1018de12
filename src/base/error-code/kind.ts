/**
 * Kinds of errors. The kind of a code decides its presentation to programs: HTTP status, exit code,
 * NBD errno.
 *
 * Invariant: kinds name no code. A code names one kind.
 */

interface Presentation {
  /** Status of the admin API's answer. */
  httpStatus: number;
  /** Exit code of `copse`. */
  exitCode: number;
  /** Name of the errno that an NBD client gets. */
  nbdErrno: 'EPERM' | 'EIO' | 'ENOMEM' | 'EINVAL' | 'ENOSPC' | 'EOVERFLOW' | 'ENOTSUP' | 'ESHUTDOWN';
  /** Meaning, for the reference page. */
  meaning: string;
}

export const errorKinds = {
  usage: { httpStatus: 400, exitCode: 2, nbdErrno: 'EIO', meaning: 'The request, the command line or the configuration is wrong.' },
  unauthorized: { httpStatus: 401, exitCode: 1, nbdErrno: 'EIO', meaning: 'The caller of the admin API did not show the token.' },
  forbidden: { httpStatus: 403, exitCode: 1, nbdErrno: 'EIO', meaning: 'The caller of the admin API may not call it this way.' },
  notFound: { httpStatus: 404, exitCode: 4, nbdErrno: 'EIO', meaning: 'The named object does not exist.' },
  conflict: { httpStatus: 409, exitCode: 5, nbdErrno: 'EIO', meaning: 'The current state does not allow the operation.' },
  internal: { httpStatus: 500, exitCode: 1, nbdErrno: 'EIO', meaning: 'The operation failed on this host.' },
  noDaemon: { httpStatus: 500, exitCode: 3, nbdErrno: 'EIO', meaning: 'No daemon answers.' },
  output: { httpStatus: 500, exitCode: 7, nbdErrno: 'EIO', meaning: 'A result can not be written.' },
  remote: { httpStatus: 502, exitCode: 1, nbdErrno: 'EIO', meaning: 'An origin, a peer or etcd failed.' },
  busy: { httpStatus: 503, exitCode: 5, nbdErrno: 'EIO', meaning: 'Another operation is under way. A retry may succeed.' },
  unavailable: { httpStatus: 503, exitCode: 1, nbdErrno: 'EIO', meaning: 'A service that the cluster needs does not answer.' },
  noSpace: { httpStatus: 507, exitCode: 7, nbdErrno: 'ENOSPC', meaning: 'The disk of the host is full.' },
  notOwner: { httpStatus: 500, exitCode: 1, nbdErrno: 'ESHUTDOWN', meaning: 'A peer has to look for the owner again. No guest gets this.' },
  permission: { httpStatus: 500, exitCode: 1, nbdErrno: 'EPERM', meaning: 'The operating system, or a read-only export, refuses.' },
  noMemory: { httpStatus: 500, exitCode: 1, nbdErrno: 'ENOMEM', meaning: 'Memory is short.' },
  invalid: { httpStatus: 500, exitCode: 1, nbdErrno: 'EINVAL', meaning: 'The NBD request is invalid.' },
  tooLarge: { httpStatus: 500, exitCode: 1, nbdErrno: 'ENOSPC', meaning: 'A file would pass a limit or a quota of the host.' },
  overflow: { httpStatus: 500, exitCode: 1, nbdErrno: 'EOVERFLOW', meaning: 'A number is too large for its field.' },
  unsupported: { httpStatus: 500, exitCode: 1, nbdErrno: 'ENOTSUP', meaning: 'The operation is not supported here.' },
} as const satisfies Record<string, Presentation>;

export type ErrorKind = keyof typeof errorKinds;

/** Kind, meaning, remedy. */
export type ErrorEntry = readonly [kind: ErrorKind, meaning: string, remedy: string];
