/**
 * Texts about a cluster, its members and the chunks that they hold. `-` stands for an unknown
 * value.
 */
import type { ClusterImageStatus, ClusterStatus, MemberStatus } from '../admin/control.js';
import { formatSize } from '../base/size.js';
import { describeGuard } from './describe.js';
import { formatList, formatTable } from './table.js';
import { formatCount, formatMs, formatPart, formatSeconds, percent } from './text.js';

export function describeCluster(status: ClusterStatus): string {
  const { node, membership, members } = status;
  if (!status.enabled) return `${node.id} is in no cluster: start it with --address HOST:PORT and --peer HOST:PORT or --etcd URL`;
  const source = { none: 'no other node', static: 'static list', etcd: 'etcd' }[membership.kind];
  const gives = node.donatedBytes === 0 ? 'gives nothing' : `gives ${formatSize(node.donatedBytes)}`;
  const head = formatList([
    ['node', [node.id, node.address, gives, node.draining ? 'draining' : undefined].filter((part) => part !== undefined).join(', ')],
    ['cluster', `${status.name}: ${status.reason}`],
    ['members', membership.message === undefined ? source : `${source}: ${membership.message}`],
    ['cut off', status.cutOff ? 'no other member answers, so this node asks origins itself' : undefined],
  ]);
  const table = formatTable(['id', 'address', 'state', 'version', 'used', 'rtt', 'breaker'], members.map(memberRow));
  const notes = members.flatMap(memberNotes).join('\n');
  return [head, table, notes].filter((part) => part !== '').join('\n\n');
}

function memberRow(member: MemberStatus): string[] {
  const { id, address, state, version = '-', rttUs, breaker } = member;
  return [
    id,
    address,
    state,
    version,
    describeUse(member),
    rttUs === undefined ? '-' : formatMs(rttUs / 1000),
    state === 'self' ? '-' : breaker,
  ];
}

function describeUse({ donatedBytes, usedBytes }: MemberStatus): string {
  if (usedBytes === undefined) return donatedBytes === undefined ? '-' : `- of ${formatSize(donatedBytes)}`;
  return donatedBytes === undefined || donatedBytes === 0 ? formatSize(usedBytes) : formatPart(usedBytes, donatedBytes);
}

function memberNotes({ id, state, message, setAside }: MemberStatus): string[] {
  const notes = setAside.map(({ image, reason, seconds }) => `${id}: set aside for ${image} ${formatSeconds(seconds)} ago: ${reason}`);
  return message === undefined ? notes : [`${id}: ${state === 'self' ? '' : `${state}: `}${message}`, ...notes];
}

export function describeClusterImage(image: ClusterImageStatus): string {
  const { chunkCount, heldChunks, copies, touchedChunks, touchedHeldChunks, nodes } = image;
  const held = `${heldChunks} of ${formatCount(chunkCount, 'chunk')} (${percent(heldChunks, chunkCount)} %)`;
  const range =
    copies.least === copies.greatest ? `${copies.least}` : `${copies.least} to ${copies.greatest}, ${copies.average.toFixed(1)} on average`;
  const touched =
    touchedChunks === undefined
      ? undefined
      : `${formatCount(touchedChunks, 'chunk')}${touchedHeldChunks === undefined ? '' : `, ${touchedHeldChunks} of them held`}`;
  const head = formatList([
    ['name', image.name],
    ['id', image.id],
    ['shared', image.shared ? `yes, ${describeGuard(image.guard)}` : `no${image.reason === undefined ? '' : `: ${image.reason}`}`],
    ['held', held],
    ['copies', heldChunks === 0 ? 'none' : `${range} of each chunk that is held`],
    ['touched', touched],
    ['without its origin', servable[image.servableWithoutOrigin]],
  ]);
  const rows = nodes.map(({ id, heldBytes, touched: count }) => [
    id,
    formatSize(heldBytes),
    count === undefined ? '-' : formatCount(count, 'chunk'),
  ]);
  return rows.length === 0 ? head : `${head}\n\n${formatTable(['node', 'held', 'touched'], rows)}`;
}

const servable: Record<ClusterImageStatus['servableWithoutOrigin'], string> = {
  whole: 'the cluster can serve all of it',
  touched: 'the cluster can serve all that guests have read so far, but not the rest',
  no: 'the cluster can not serve the image',
};
