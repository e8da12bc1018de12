/**
 * The map with which a node begins to own a disk, made from the giver's map. Pure.
 *
 * The new map names the node that has each block, however many owners there were in between. So no
 * block travels through a chain of former owners.
 */
import { CopseError } from '../../base/error.js';
import { BlockState } from '../../base/native/overlay.js';
import { isChanged, maxNodeIndex, nodeIndexOf, remoteByte, stateOf, withoutMark } from '../overlay/block-map.js';
import type { NodeRef, OwnerState } from '../protocol/record.js';

export interface Inheritance {
  /** The giver's map, a byte a block, with the marks of what changed since the last copy. */
  states: Uint8Array;
  /** The giver's table. */
  nodes: OwnerState['nodes'];
  giver: NodeRef & { /** The last epoch under which it owned the disk. */ epoch: number };
  selfId: string;
  /**
   * The new owner's present map. A block that it wrote as an earlier owner is valid where the
   * giver's map says so. A block that was copied ahead is valid if `replicated` says so and the
   * giver has not changed it since.
   */
  own?: { states: Uint8Array; replicated(block: number): boolean } | undefined;
}

/**
 * @returns the new owner's map and table. Each node in the table keeps its files until the new
 * owner releases it.
 * @throws CopseError `ERR_DISK_INCOMPLETE` if blocks lie on more nodes than a map can name;
 * `ERR_DISK_BROKEN` if the giver's map names a block of this node that is not here
 */
export function inheritMap({ states, nodes, giver, selfId, own }: Inheritance): { states: Uint8Array; nodes: OwnerState['nodes'] } {
  const table: OwnerState['nodes'] = {};
  let selfIndex = -1;
  for (const [index, node] of Object.entries(nodes)) {
    if (node.id === selfId) selfIndex = Number(index);
    else table[index] = node;
  }
  const giverIndex = freeIndex(table);
  table[giverIndex] = giver;
  const onGiver = remoteByte(giverIndex);
  const inherited = new Uint8Array(states.length);
  for (let block = 0; block < states.length; block += 1) {
    const byte = states[block] ?? 0;
    if (byte === 0) continue;
    const state = stateOf(byte);
    const isHere = own !== undefined && stateOf(own.states[block] ?? 0) === BlockState.data;
    if (state === BlockState.data) {
      const isCurrent = isHere && !isChanged(byte) && own.replicated(block);
      inherited[block] = isCurrent ? BlockState.data : onGiver;
    } else if (state === BlockState.remote) {
      const index = nodeIndexOf(byte);
      if (index !== selfIndex) inherited[block] = withoutMark(byte);
      else if (isHere) inherited[block] = BlockState.data;
      else
        throw new CopseError(
          'ERR_DISK_BROKEN',
          `block ${block} should be in this node's overlay, where it was written once, and is not there`,
        );
    } else {
      inherited[block] = state;
    }
  }
  return { states: inherited, nodes: table };
}

function freeIndex(table: OwnerState['nodes']): number {
  for (let index = 1; index <= maxNodeIndex; index += 1) if (table[index] === undefined) return index;
  throw new CopseError(
    'ERR_DISK_INCOMPLETE',
    `its blocks lie on ${maxNodeIndex} nodes already: wait until some of them have arrived ("copse disk status")`,
  );
}
