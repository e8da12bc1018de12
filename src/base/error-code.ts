/**
 * Every code that Copse throws, once, with its kind and its help.
 *
 * HTTP status, exit code, NBD errno and docs/reference/errors.md follow from the kinds.
 *
 * Invariant: a code is in one part of the table. A code of the operating system that is not listed
 * is `internal`, and so is an unknown code.
 */
import type { constants } from 'node:os';
import { clusterErrors } from './error-code/cluster.js';
import { diskErrors } from './error-code/disk.js';
import { hostErrors } from './error-code/host.js';
import { imageErrors } from './error-code/image.js';
import { type ErrorEntry, type ErrorKind, errorKinds } from './error-code/kind.js';
import { usageErrors } from './error-code/usage.js';

/** Codes by the part of Copse that they speak of, in the order of the reference page. */
export const errorParts = {
  Usage: usageErrors,
  Images: imageErrors,
  Disks: diskErrors,
  Cluster: clusterErrors,
  Host: hostErrors,
} as const satisfies Record<string, Record<string, ErrorEntry>>;

type Parts = typeof errorParts;

/** A code of Copse. */
export type ErrorCode = { [Part in keyof Parts]: keyof Parts[Part] }[keyof Parts];

/** A code of the operating system, as Node names it. */
export type SystemErrorCode = keyof typeof constants.errno;

declare const foreign: unique symbol;
/** A code that another process chose. */
export type ForeignErrorCode = string & { readonly [foreign]: true };

/**
 * Marks a code that came from another process, which may be newer and have codes that this table
 * lacks.
 */
export function foreignErrorCode(code: string): ForeignErrorCode {
  return code as ForeignErrorCode;
}

/** Kinds of the system's codes that are not `internal`. */
export const systemErrors: Readonly<Partial<Record<SystemErrorCode, ErrorKind>>> = {
  EPERM: 'permission',
  EACCES: 'permission',
  EROFS: 'permission',
  ENOMEM: 'noMemory',
  EINVAL: 'invalid',
  ENOSPC: 'noSpace',
  EFBIG: 'tooLarge',
  EDQUOT: 'tooLarge',
  EOVERFLOW: 'overflow',
  ENOTSUP: 'unsupported',
  EOPNOTSUPP: 'unsupported',
};

const kindByCode: ReadonlyMap<string, ErrorKind> = new Map([
  ...Object.values(errorParts).flatMap((part) => Object.entries(part).map(([code, [kind]]): [string, ErrorKind] => [code, kind])),
  ...Object.entries(systemErrors),
]);

/**
 * @param code any text
 * @returns HTTP status, exit code and NBD errno of a code
 */
export function presentationOf(code: string): (typeof errorKinds)[ErrorKind] {
  return errorKinds[kindByCode.get(code) ?? 'internal'];
}

/** Every code of Copse, in the order of the reference page. */
export const errorCodes: readonly string[] = Object.values(errorParts).flatMap((part) => Object.keys(part));
