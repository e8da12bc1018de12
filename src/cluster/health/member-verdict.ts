/**
 * Judges the identity of each address: a member, this node itself, a second address of a known
 * member, or a node that must not be used.
 *
 * Two nodes with one id would each be taken for the other. The node that was there first stays; the
 * later one is a conflict until one of them goes. Two statements are of one node if id, token and
 * its own address are the same. A copied state directory copies the token, but not the address.
 *
 * It is pure: it knows addresses, statements, and the earlier owners of ids.
 */
import type { NodeStatement } from '../node.js';
import type { WatchState } from './watch.js';

export type Verdict =
  | { kind: 'member'; statement: NodeStatement }
  /** This node by its own address, or a member's second address. Neither is shown or used. */
  | { kind: 'self' }
  | { kind: 'alias' }
  | { kind: 'new' | 'down' | 'incompatible' | 'elsewhere' | 'conflict'; message: string };

export interface MemberVerdictEntry {
  address: string;
  state: WatchState;
}

type Identity = Pick<NodeStatement, 'id' | 'token' | 'address'>;

export class MemberVerdict {
  /** Address that owns an id, by id. */
  readonly #owners = new Map<string, string>();

  /**
   * @param entries older ones first
   * @returns verdicts by address
   */
  judge(self: NodeStatement, entries: readonly MemberVerdictEntry[]): Map<string, Verdict> {
    const verdicts = new Map<string, Verdict>();
    const candidates = new Map<string, NodeStatement>();
    for (const { address, state } of entries) {
      const verdict = verdictOf(self, state);
      if (verdict.kind === 'member') candidates.set(address, verdict.statement);
      verdicts.set(address, verdict);
    }
    for (const [id, address] of this.#owners) if (candidates.get(address)?.id !== id) this.#owners.delete(id);
    for (const [address, statement] of candidates) {
      const owner = this.#owners.get(statement.id) ?? address;
      this.#owners.set(statement.id, owner);
      const first = candidates.get(owner);
      if (owner === address || first === undefined) continue;
      verdicts.set(address, isSame(first, statement) ? { kind: 'alias' } : conflict(statement, `the node at ${owner} has`));
    }
    return verdicts;
  }
}

function verdictOf(self: NodeStatement, state: WatchState): Verdict {
  if (state.kind === 'new') return { kind: 'new', message: 'not asked yet' };
  if (state.kind !== 'up') return { kind: state.kind, message: state.message };
  const { statement } = state;
  if (isSame(self, statement)) return { kind: 'self' };
  if (statement.token === self.token) {
    const message = `it runs with a copy of this node's state directory, as "${statement.id}": empty that directory on one of the two, and restart it`;
    return { kind: 'conflict', message };
  }
  if (statement.id === self.id) return conflict(statement, 'this node has');
  if (statement.cluster !== self.cluster) {
    return { kind: 'elsewhere', message: `it is in cluster "${statement.cluster}", this node in "${self.cluster}"` };
  }
  return { kind: 'member', statement };
}

function conflict({ id }: Identity, who: string): Verdict {
  return { kind: 'conflict', message: `it calls itself "${id}", the id that ${who} already: give one of the two another --node id` };
}

function isSame(left: Identity, right: Identity): boolean {
  return left.id === right.id && left.token === right.token && left.address === right.address;
}
