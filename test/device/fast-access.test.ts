/** What is offered to native threads, and how it is taken back: nothing is given while something is being taken. */
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import type { NativeChunkFile } from '../../src/base/native/chunk.js';
import type { NativeOverlayFile } from '../../src/base/native/overlay.js';
import { FastAccess, type FastOffer } from '../../src/device/fast-access.js';
import { SlowUser } from './slow-user.js';

/** Told apart only. */
const image = {} as NativeChunkFile;
const overlay = {} as NativeOverlayFile;
const reads: FastOffer = { overlay, image, writable: false };
const writes: FastOffer = { ...reads, writable: true };

function scene(first: FastOffer | undefined) {
  const at = { offer: first, writers: 0 };
  const access = new FastAccess({
    offer: () => at.offer,
    onWritable: () => {
      at.writers += 1;
      return () => {
        at.writers -= 1;
      };
    },
  });
  const user = new SlowUser();
  const hold = access.attach(user);
  return { at, access, user, hold };
}

/** Whether it has settled after a turn. */
async function isDone(work: Promise<unknown>): Promise<boolean> {
  let done = false;
  void work.then(() => {
    done = true;
  });
  await turn();
  return done;
}

t.test('more is given at once, in the same turn, and once', async (t) => {
  const { at, access, user } = scene(undefined);
  t.equal(user.may, 'nothing');
  at.offer = { ...reads };
  void access.refresh();
  t.equal(user.may, 'read');
  at.offer = { ...reads };
  void access.refresh();
  t.equal(user.grantCount, 1, 'the same is not given again');
  at.offer = { ...writes };
  void access.refresh();
  t.equal(user.may, 'read and write');
  t.equal(at.writers, 1);
  t.equal(user.revokeCount, 0);
});

t.test('less is given when nothing of before is in use any more', async (t) => {
  const { at, access, user } = scene(writes);
  at.offer = reads;
  const refreshed = access.refresh();
  t.equal(user.may, 'is ending', 'in the same turn');
  t.equal(at.writers, 1, 'it may still be writing');
  t.equal(await isDone(refreshed), false);
  user.letGo();
  await refreshed;
  t.equal(user.may, 'read');
  t.equal(at.writers, 0);
});

t.test('other files are less', async (t) => {
  const { at, access, user } = scene(reads);
  at.offer = { ...reads, overlay: {} as NativeOverlayFile };
  const refreshed = access.refresh();
  t.equal(user.may, 'is ending');
  user.letGo();
  await refreshed;
  t.equal(user.granted?.overlay, at.offer.overlay);
});

t.test('what is offered anew while it is being taken waits for that', async (t) => {
  const { at, access, user } = scene(writes);
  at.offer = undefined;
  const taken = access.refresh();
  at.offer = writes;
  const given = access.refresh();
  t.equal(user.grantCount, 1);
  t.equal(await isDone(given), false);
  user.letGo();
  await Promise.all([taken, given]);
  t.equal(user.may, 'read and write');
  t.equal(user.revokeCount, 1);
  t.equal(at.writers, 1);
});

t.test('who lets go is told nothing more, and has ended when that resolves', async (t) => {
  const { at, access, user, hold } = scene(writes);
  const released = hold.release();
  t.equal(user.may, 'is ending');
  t.equal(await isDone(hold.release()), false, 'a second time it waits for the same');
  user.letGo();
  await released;
  t.equal(at.writers, 0);
  t.equal(access.isUsed, false);
  at.offer = reads;
  await access.refresh();
  t.equal(user.may, 'nothing');
});

t.test('one who holds on holds up nobody else', async (t) => {
  const { at, access, user } = scene(reads);
  const other = new SlowUser();
  access.attach(other);
  at.offer = undefined;
  const refreshed = access.refresh();
  other.letGo();
  await turn();
  at.offer = reads;
  void access.refresh();
  t.equal(other.may, 'read');
  t.equal(await isDone(refreshed), false);
  user.letGo();
  await refreshed;
});
