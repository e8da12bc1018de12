import t from 'tap';
import { CopseError } from '../../../src/base/error.js';
import { foreignErrorCode } from '../../../src/base/error-code.js';
import { toNbdError } from '../../../src/nbd/codec/errno.js';
import { PeerDiskDevice } from '../../../src/peer/server/disk-device.js';
import { ScriptedDevice } from '../../server/scripted-device.js';

t.test('what the view answers is passed on, and what it says of zeros and hits', async (t) => {
  const view = new ScriptedDevice(Buffer.alloc(8192, 7));
  const device = new PeerDiskDevice(view);
  t.equal(device.sizeBytes, 8192);
  t.match(device.features, { readOnly: true, trim: false, writeZeroes: false });
  const target = Buffer.alloc(10);
  t.ok(device.readNow(target, 2, 8, 0));
  t.same(target, Buffer.from([0, 0, 7, 7, 7, 7, 7, 7, 7, 7]));
  view.isHit = () => false;
  view.isHole = (offset) => offset === 0;
  t.notOk(device.readNow(target, 0, 10, 0));
  t.ok(device.isZeroNow(0, 4096));
  t.notOk(device.isZeroNow(4096, 4096));
  const reading = device.read(target, 4096);
  view.takePending(4096).resolve();
  t.equal(await reading, 'origin');
  t.same(await device.extents(0, 100, 1), [{ lengthBytes: 100, zero: false, hole: false }]);
  await device.close();
});

t.test('nothing is written', async (t) => {
  const view = new ScriptedDevice(Buffer.alloc(8192, 7));
  const device = new PeerDiskDevice(view);
  for (const change of [device.write(), device.writeZeroes(), device.trim()]) await t.rejects(change, { code: 'EROFS' });
  t.ok(view.content.equals(Buffer.alloc(8192, 7)));
});

t.test('that the node is no owner any more has a number of its own, other errors have theirs', async (t) => {
  const view = new ScriptedDevice(Buffer.alloc(8192));
  const device = new PeerDiskDevice(view);
  const numberOf = (request: Promise<unknown>): Promise<number> => request.then(() => 0, toNbdError);
  for (const [code, number] of [
    ['ERR_NOT_OWNER', 108],
    ['EIO', 5],
    ['ESHUTDOWN', 5],
  ] as const) {
    const error = new CopseError(foreignErrorCode(code), 'no');
    view.read = () => Promise.reject(error);
    view.flush = () => Promise.reject(error);
    view.extents = () => Promise.reject(error);
    t.equal(await numberOf(device.read(Buffer.alloc(1), 0)), number, code);
    t.equal(await numberOf(device.flush()), number, code);
    t.equal(await numberOf(device.extents(0, 1, 1)), number, code);
  }
});
