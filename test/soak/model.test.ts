/** The soak's check can fail. */
import t from 'tap';
import { DiskModel } from './model.js';
import { fillSectors, foreign, imageVersion, sectorBytes, versionsOf, zeroVersion } from './pattern.js';

t.test('sectors say what they are', async (t) => {
  const bytes = Buffer.alloc(4 * sectorBytes);
  fillSectors(bytes.subarray(0, sectorBytes), 3, 10, 7);
  fillSectors(bytes.subarray(sectorBytes, 2 * sectorBytes), 3, 11, imageVersion);
  fillSectors(bytes.subarray(2 * sectorBytes, 3 * sectorBytes), 3, 13, 8);
  fillSectors(bytes.subarray(3 * sectorBytes), 4, 13, 8);
  t.same(versionsOf(bytes, 3, 10), [7, imageVersion, foreign, foreign], 'another place and another disk are foreign');
  bytes[sectorBytes - 1] = 0xff;
  t.equal(versionsOf(bytes, 3, 10)[0], foreign, 'so is a torn sector');
  t.same(versionsOf(Buffer.alloc(sectorBytes), 3, 0), [zeroVersion]);
});

t.test('only what was acknowledged, or is in doubt, is right', async (t) => {
  const model = new DiskModel(new Uint32Array(4).fill(imageVersion));
  t.same(model.faults(0, [imageVersion, imageVersion, imageVersion, imageVersion]), []);
  model.issue(0, 2, 5);
  t.same(model.faults(0, [5, imageVersion]), [], 'a request under way may have been done in part');
  model.acknowledge(0, 2, 5);
  t.match(model.faults(0, [5, imageVersion]), [/sector 1 holds version 1 instead of 5/], 'not after it was acknowledged');
  model.issue(1, 1, 6);
  model.issue(1, 1, 7);
  for (const version of [5, 6, 7]) t.same(model.faults(1, [version]), [], `failed requests leave doubt: ${version}`);
  t.equal(model.faults(1, [imageVersion]).length, 1);
  t.equal(model.doubtfulCount, 1);
  model.acknowledge(1, 1, 8);
  t.match(model.faults(1, [7]), [/instead of 8/], 'a late write of a dead connection is a fault');
  t.match(model.faults(3, [foreign]), [/foreign bytes/]);
});
