/** View of a node for `copse cluster status`. */
import type { OwnedDisk } from '../node.js';
import type { Verdict } from './member-verdict.js';
import type { Watch } from './watch.js';

export interface MemberView {
  /** The node's address while its id is unknown. */
  id: string;
  address: string;
  state: 'self' | 'up' | 'draining' | 'down' | 'incompatible' | 'conflict';
  /** The fault, and the remedy. */
  message?: string | undefined;
  version?: string | undefined;
  donatedBytes?: number | undefined;
  /** Bytes of its cache at its last answer. */
  usedBytes?: number | undefined;
  /** Shortest of the last pings, in µs. */
  rttUs?: number | undefined;
  /** Names of the images that its guests are attached to. */
  attached?: readonly string[] | undefined;
  /** IP addresses of its host, as it said itself. */
  addresses?: readonly string[] | undefined;
  /** Disks that it owns. */
  disks?: readonly OwnedDisk[] | undefined;
}

const states = { new: 'down', down: 'down', incompatible: 'incompatible', elsewhere: 'incompatible', conflict: 'conflict' } as const;

/**
 * @param seedId the id that membership gives it
 * @returns `undefined` for this node itself, and for a second address of a shown node
 */
export function memberView(watch: Watch, verdict: Verdict, seedId: string | undefined): MemberView | undefined {
  const { address, state, lastStatement, rttUs } = watch;
  if (verdict.kind === 'self' || verdict.kind === 'alias') return undefined;
  if (verdict.kind === 'member') {
    const { id, version, donatedBytes, usedBytes, draining, attached, disks, addresses } = verdict.statement;
    return { id, address, state: draining ? 'draining' : 'up', version, donatedBytes, usedBytes, rttUs, attached, disks, addresses };
  }
  const { kind, message } = verdict;
  if (state.kind === 'incompatible') {
    return { id: state.id ?? seedId ?? address, address, state: states[kind], message, version: state.version };
  }
  const { id = seedId ?? address, version, donatedBytes, usedBytes, addresses } = lastStatement ?? {};
  return { id, address, state: states[kind], message, version, donatedBytes, usedBytes, addresses };
}
