/**
 * The byte that stands for one block in the map of a disk: bits 0-1 the state, bit 2 the mark `changed`, bits 3-7 the
 * index of the node that has a `remote` block.
 *
 * Source: `base/native/overlay.ts`, NativeOverlayFile. Invariant: only a remote block has an index, and it is not 0.
 */
import { BlockState, type BlockStateValue } from '../../base/native/overlay.js';

const stateMask = 0b11;
const changedBit = 0b100;
const nodeShift = 3;

/** Largest index of a node in a map. */
export const maxNodeIndex = 31;

/** @param byte 0 to 255 */
export function stateOf(byte: number): BlockStateValue {
  return (byte & stateMask) as BlockStateValue;
}

/** True if the block changed since the marks were last taken. */
export function isChanged(byte: number): boolean {
  return (byte & changedBit) !== 0;
}

/** Index of the node that has a remote block; 0 for any other block. */
export function nodeIndexOf(byte: number): number {
  return byte >> nodeShift;
}

/** @param nodeIndex 1 to `maxNodeIndex` */
export function remoteByte(nodeIndex: number): number {
  return BlockState.remote | (nodeIndex << nodeShift);
}

/** The same block without its mark. */
export function withoutMark(byte: number): number {
  return byte & ~changedBit;
}

/** True if state and index agree. A byte from another node is a stranger's until this says so. */
export function isBlockByte(byte: number): boolean {
  return (stateOf(byte) === BlockState.remote) === nodeIndexOf(byte) > 0;
}
