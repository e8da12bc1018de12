/** Applies patches to bytes of a private export, whatever source they come from. */
import type { Patch } from './layer.js';

/** @returns true if a patch touches the range */
export function isPatched(patches: readonly Patch[], offset: number, lengthBytes: number): boolean {
  return patches.some((patch) => patch.offset < offset + lengthBytes && patch.offset + patch.bytes.length > offset);
}

/** Overwrites the patched bytes in `target`, which was read from `offset`. */
export function applyPatches(patches: readonly Patch[], target: Buffer, offset: number): void {
  for (const { offset: patchOffset, bytes } of patches) {
    const start = Math.max(patchOffset, offset);
    const end = Math.min(patchOffset + bytes.length, offset + target.length);
    if (start < end) bytes.copy(target, start - offset, start - patchOffset, end - patchOffset);
  }
}
