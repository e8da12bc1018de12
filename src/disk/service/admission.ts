/**
 * Admits the calls that a member may make about a disk. This node asks the member back, and proves
 * its part in that handover under that epoch, before it fences, notes or removes anything.
 *
 * Invariants: only `admitForce` changes anything; it notes the proven force. A caller that goes on
 * after an admission looks again at the state that it acts on.
 */
import { CopseError } from '../../base/error.js';
import { askWord, ownWord, proveClaim, requireProof } from '../owner/own-word.js';
import type { DiskRegistry } from '../owner/registry.js';
import type { ArgumentOf } from '../protocol/call.js';
import { type Caller, requireCaller } from '../protocol/caller.js';
import { checkUuid } from '../protocol/chain.js';
import type { RemoteNodes } from '../protocol/remote-nodes.js';

const describeMs = 2000;

/**
 * Admits the word of the taker that it has accepted the disk. The machine ignores the word on a
 * handover that was settled before.
 */
export function admitAcceptance(registry: DiskRegistry, { uuid, epoch, by }: ArgumentOf<'disk.accepted'>, caller: Caller): void {
  requireCaller(caller, by, 'disk.accepted');
  const own = ownWord(registry, uuid);
  if (epoch <= own.epoch || (own.state === 'granted' && own.to?.id === caller.id && epoch === own.epoch + 1)) return;
  throw new CopseError('ERR_NOT_OWNER', `disk.accepted: disk ${uuid} was not granted to node ${caller.id} from here under epoch ${epoch}`);
}

/**
 * Admits the giver's question how a handover ended. This node promises never to accept an epoch
 * only to a node that confirms its grant to this node under that epoch.
 *
 * @throws CopseError `ERR_NOT_YET`, `ERR_NOT_OWNER`
 */
export async function admitResolve(registry: DiskRegistry, { uuid, epoch }: ArgumentOf<'disk.resolve'>, caller: Caller): Promise<void> {
  if (registry.get(uuid)?.isTakingOver || registry.heldEpoch(uuid) >= epoch || registry.options.notes.refusedEpoch(uuid) >= epoch) return;
  const { peers } = registry.options;
  const word = await confirmed(peers, uuid, caller, 'disk.resolve');
  const isGranted = word.state === 'granted' && word.epoch === epoch - 1 && word.to?.id === peers?.self.id;
  if (!isGranted)
    throw new CopseError('ERR_NOT_OWNER', `disk.resolve: node ${caller.id} did not grant disk ${uuid} to this node under epoch ${epoch}`);
  await requireProof(registry, { uuid, node: caller, epoch: epoch - 1 }, 'disk.resolve');
}

/** Admits an invitation by the owner alone. @throws CopseError `ERR_NOT_YET`, `ERR_NOT_OWNER` */
export async function admitInvitation(registry: DiskRegistry, uuid: string, caller: Caller): Promise<void> {
  const word = await confirmed(registry.options.peers, uuid, caller, 'disk.invite');
  if (word.state !== 'owner') throw new CopseError('ERR_NOT_OWNER', `disk.invite: node ${caller.id} does not own disk ${uuid}`);
}

/**
 * Admits a copy ahead by the owner alone. The record is the one that the owner answers when it is
 * asked back.
 *
 * @throws CopseError `ERR_NOT_YET`, `ERR_NOT_OWNER`, `ERR_PEER_LIED`
 */
export async function admitCopy(
  registry: DiskRegistry,
  argument: ArgumentOf<'disk.receive'>,
  caller: Caller,
): Promise<ArgumentOf<'disk.receive'>> {
  const { peers } = registry.options;
  const { from, epoch } = argument;
  const { uuid } = argument.record;
  requireCaller(caller, from, 'disk.receive');
  if (peers === undefined) throw new CopseError('ERR_NOT_CLUSTERED', 'this node is in no cluster');
  const { record, state, ...told } = await peers
    .call(caller, 'disk.describe', { uuid }, { timeoutMs: describeMs })
    .catch((cause: unknown) => {
      throw notYet('disk.receive', uuid, caller, cause);
    });
  checkUuid(uuid, record.uuid);
  if (state !== 'owner' || told.epoch !== epoch)
    throw new CopseError('ERR_NOT_OWNER', `disk.receive: node ${caller.id} does not own disk ${uuid} under epoch ${epoch}`);
  await requireProof(registry, { uuid, node: caller, epoch }, 'disk.receive');
  return { ...argument, record, from: caller };
}

/**
 * Notes the record of a force. Members that come back while the taker does not answer ask for it.
 *
 * @throws CopseError `ERR_NOT_YET`, `ERR_NOT_OWNER`
 */
export async function admitForce(
  registry: DiskRegistry,
  { uuid, force }: ArgumentOf<'disk.forced'>,
  caller: Caller,
): Promise<Record<string, never>> {
  requireCaller(caller, force.node, 'disk.forced');
  const { forced, epoch } = await confirmed(registry.options.peers, uuid, caller, 'disk.forced');
  if (forced === undefined || forced.to !== force.to || forced.node.id !== caller.id || epoch < force.to)
    throw new CopseError('ERR_NOT_OWNER', `disk.forced: node ${caller.id} has no record of taking disk ${uuid} by force`);
  if ((await proveClaim(registry, { uuid, node: caller, epoch: force.to })) !== 'proven')
    throw new CopseError('ERR_NOT_OWNER', `disk.forced: disk ${uuid} did not come to node ${caller.id} under epoch ${force.to}`);
  registry.options.notes.force(uuid, { ...forced, node: caller });
  return {};
}

async function confirmed(peers: RemoteNodes | undefined, uuid: string, caller: Caller, what: string) {
  if (peers === undefined) throw new CopseError('ERR_NOT_CLUSTERED', 'this node is in no cluster');
  return askWord(peers, caller, uuid).catch((cause: unknown) => {
    throw notYet(what, uuid, caller, cause);
  });
}

function notYet(what: string, uuid: string, caller: Caller, cause: unknown): CopseError {
  return new CopseError('ERR_NOT_YET', `${what}: node ${caller.id} was asked back about disk ${uuid} and does not answer: ask again`, {
    cause,
  });
}
