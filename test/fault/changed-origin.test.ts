/** An origin whose content is exchanged under a served image: old and new bytes are never mixed, and the operator is told. */
import t from 'tap';
import { pattern } from '../conformance/content.js';
import { Errno } from '../conformance/wire/constant.js';
import { differences } from '../support/differences.js';
import { until } from '../support/wait.js';
import { Daemon } from './daemon.js';
import { ScriptedOrigin } from './origin.js';

const chunkBytes = 64 * 1024;
const before = pattern(2 * 1024 * 1024, 31);

for (const [what, etag, after, restarts] of [
  ['with an ETag', true, pattern(2 * 1024 * 1024, 32), true],
  ['with Last-Modified alone', false, pattern(2 * 1024 * 1024, 33), false],
  ['by one that is larger', true, pattern(3 * 1024 * 1024, 34), false],
  ['by one that is smaller', true, pattern(1024 * 1024, 35), false],
] as const) {
  t.test(`content that was replaced, ${what}`, async (t) => {
    const origin = await ScriptedOrigin.start(t, before, { etag });
    const daemon = await Daemon.start(t, { images: { image: origin.url } });
    const old = await daemon.attach('image', { replies: 'structured' });
    t.ok((await old.read(0, chunkBytes)).data.equals(before.subarray(0, chunkBytes)));
    // A read is answered before its bytes are stored, and only what is stored outlives a kill.
    await until('the chunk in the cache', async () => {
      const { cache } = (await daemon.imageStatus('image')) as { cache: { cachedBytes: number } };
      return cache.cachedBytes >= chunkBytes;
    });
    origin.replace(after);
    t.equal((await old.read(1_500_000, 100)).error, Errno.EIO, 'what is not cached can not be had any more');
    t.equal((await old.read(chunkBytes - 512, 1024)).error, Errno.EIO, 'not even in part');
    t.ok((await old.read(0, chunkBytes)).data.equals(before.subarray(0, chunkBytes)), 'what is cached stays what it was');
    const status = await daemon.imageStatus('image');
    t.match(status, { origin: { health: 'changed' } });
    t.match(JSON.stringify(status), /repin/, 'and says what to do');
    await until('so does the log', () => /changed/i.test(daemon.stderr));

    if (restarts) {
      await daemon.kill();
      await daemon.start();
    }
    const same = await daemon.attach('image');
    t.equal(same.info.sizeBytes, BigInt(before.length), 'nothing, a restart included, takes the new content silently');
    t.equal((await same.read(1_500_000, 100)).error, Errno.EIO);

    if (restarts) t.equal((await daemon.copse('image', 'repin', 'image')).exitCode, 0);
    else t.equal((await daemon.api('POST', '/v1/images/image/repin')).status, 200);
    const fresh = await daemon.attach('image');
    t.equal(fresh.info.sizeBytes, BigInt(after.length));
    t.same(await differences(fresh, after), []);
    t.ok((await same.read(0, chunkBytes)).data.equals(before.subarray(0, chunkBytes)), 'who was attached keeps the old content');
    if (!restarts) return;
    await daemon.stop();
    await daemon.start();
    t.same(await differences(await daemon.attach('image'), after), []);
  });
}
