/**
 * The node that asks: the member of the cluster from whose address a connection comes.
 *
 * `peer/server/callers.ts` takes it from the connection, once for each request. Every check of
 * this room compares against that value alone, so proof of another kind replaces it in one place.
 */
import { CopseError } from '../../base/error.js';
import type { NodeRef } from './record.js';

/** Id and address are those of the membership, never those that the caller wrote into a request. */
export type Caller = NodeRef;

/** @throws CopseError `ERR_NOT_MEMBER` when no member has the connection's address */
export function requireMember(caller: Caller | undefined, what: string): Caller {
  if (caller !== undefined) return caller;
  throw new CopseError(
    'ERR_NOT_MEMBER',
    `${what}: the connection comes from no member of this cluster ("copse cluster status" lists the members and their addresses)`,
  );
}

/**
 * @param named the node that the request speaks for.
 *
 * @throws CopseError `ERR_CALLER` when the caller is another one
 */
export function requireCaller(caller: Caller, named: NodeRef, what: string): void {
  if (named.id === caller.id) return;
  throw new CopseError('ERR_CALLER', `${what}: node ${caller.id} asks, and names node ${named.id}: a node speaks for itself alone`);
}
