/**
 * Admits the calls that a member may make about a disk: its part in that handover, at that epoch,
 * is asked back and proven before anything is fenced, noted or removed.
 *
 * Invariants: nothing here changes anything but `admitForce`, which notes what was proven. Whoever
 * goes on after an admission looks again at the state that it acts on.
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
 * The node to which this one granted the disk says so itself. What was settled long ago is passed
 * over later.
 */
export function admitAcceptance(registry: DiskRegistry, { uuid, epoch, by }: ArgumentOf<'disk.accepted'>, caller: Caller): void {
  requireCaller(caller, by, 'disk.accepted');
  const own = ownWord(registry, uuid);
  if (epoch <= own.epoch || (own.state === 'granted' && own.to?.id === caller.id && epoch === own.epoch + 1)) return;
  throw new CopseError('ERR_NOT_OWNER', `disk.accepted: disk ${uuid} was not granted to node ${caller.id} from here under epoch ${epoch}`);
}

/**
 * The giver of a handover asks how it ended. A promise never to accept an epoch is given to the
 * node alone whose own word is that it granted the disk to this node under that epoch.
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

/** The owner alone invites. @throws CopseError `ERR_NOT_YET`, `ERR_NOT_OWNER` */
export async function admitInvitation(registry: DiskRegistry, uuid: string, caller: Caller): Promise<void> {
  const word = await confirmed(registry.options.peers, uuid, caller, 'disk.invite');
  if (word.state !== 'owner') throw new CopseError('ERR_NOT_OWNER', `disk.invite: node ${caller.id} does not own disk ${uuid}`);
}

/**
 * The owner alone has its disk copied ahead, and what the disk is it says where it is asked.
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
 * Notes the record of a force, for members that come back while the taker does not answer.
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
