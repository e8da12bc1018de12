import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { HttpOrigin } from './origin.js';

const missing = await access('/usr/lib/nginx/modules/ngx_http_lua_module.so').then(
  () => false,
  () => 'nginx with its lua module is not installed: .ci/setup bench',
);

t.test('the origin waits before it answers, and counts by asker and latency', { skip: missing }, async (t) => {
  const dir = t.testdir({ root: {}, work: {} });
  await writeFile(join(dir, 'root', 'a.raw'), Buffer.alloc(100_000, 7));
  const origin = await HttpOrigin.start(join(dir, 'work'), join(dir, 'root'), [0, 30]);
  t.teardown(() => origin.close());

  const get = async (latencyMs: number, asker: string): Promise<Response> => {
    const response = await fetch(origin.url(latencyMs, asker, 'a.raw'), { headers: { range: 'bytes=0-4095' } });
    await response.arrayBuffer();
    return response;
  };
  await get(30, 'copse');
  const [slowMark, fastMark] = [await origin.mark(30), await origin.mark(0)];
  const startMs = performance.now();
  const response = await get(30, 'copse');
  t.ok(performance.now() - startMs >= 29);
  t.equal(response.status, 206);
  t.ok(response.headers.get('etag'));
  await get(30, 'nbdkit');
  await get(0, 'copse');
  t.strictSame(await origin.use(slowMark, 'copse'), { requests: 1, bytes: 4096 }, 'neither what was before the mark nor what others asked');
  t.strictSame(await origin.use(fastMark, 'copse'), { requests: 1, bytes: 4096 });
  t.strictSame(await origin.use(slowMark, 'qemu'), { requests: 0, bytes: 0 });
});
