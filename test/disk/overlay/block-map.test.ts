/** Every byte of a disk's map. */
import t from 'tap';
import { BlockState } from '../../../src/base/native/overlay.js';
import {
  isBlockByte,
  isChanged,
  maxNodeIndex,
  nodeIndexOf,
  remoteByte,
  stateOf,
  withoutMark,
} from '../../../src/disk/overlay/block-map.js';

t.test('state, mark and index of all 256 bytes', async (t) => {
  let validCount = 0;
  for (let byte = 0; byte < 256; byte += 1) {
    const mark = isChanged(byte) ? 4 : 0;
    t.equal(stateOf(byte) | mark | (nodeIndexOf(byte) << 3), byte, `parts of ${byte}`);
    t.equal(withoutMark(byte), byte - mark);
    if (isBlockByte(byte)) validCount += 1;
  }
  // base, data and zero without an index, and remote with each index; each of them marked or not.
  t.equal(validCount, 2 * (3 + maxNodeIndex));
});

t.test('a remote block names its node', async (t) => {
  for (let index = 1; index <= maxNodeIndex; index += 1) {
    const byte = remoteByte(index);
    t.same([stateOf(byte), nodeIndexOf(byte), isChanged(byte), isBlockByte(byte)], [BlockState.remote, index, false, true]);
  }
});
