/**
 * Names of nodes and clusters. The configuration checks them, and so does each reader of another
 * node's statement.
 */
import { CopseError } from './error.js';

/**
 * Pattern of a node's id and of a cluster's name: 1 to 63 characters, each of which may stand in an
 * export's name and in a key of etcd.
 */
export const nodeNamePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** @throws CopseError `ERR_NAME` */
export function checkNodeId(id: string): string {
  return check(id, "a node's id");
}

/** @throws CopseError `ERR_NAME` */
export function checkClusterName(name: string): string {
  return check(name, "a cluster's name");
}

function check(value: string, what: string): string {
  if (nodeNamePattern.test(value)) return value;
  throw new CopseError(
    'ERR_NAME',
    `"${value}" can't be ${what}: use 1 to 63 letters, digits, and . _ -, and begin with a letter or a digit`,
  );
}
