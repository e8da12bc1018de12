import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { until } from '../support/wait.js';
import { blockByte, createHost, examplesDir, type Host, imageSizeBytes } from './host.js';

const run = (host: Host, name: string, ...args: string[]) =>
  execa('bash', [join(examplesDir, 'debug', name), ...args], { env: host.env, reject: false });

t.test('inspect lists exports, maps and what is cached', async (t) => {
  const host = await createHost(t);
  await host.serve();
  const { exitCode, stdout } = await run(host, 'inspect');
  t.equal(exitCode, 0);
  t.match(stdout, /export="debian-12"/);
  t.match(stdout, /virtual size: 8 MiB/);
  t.match(stdout, / {2}data/);
});

t.test('read shows bytes, which are cached then', async (t) => {
  const host = await createHost(t);
  host.env['OFFSET'] = String(imageSizeBytes / 2);
  await host.serve();
  const { exitCode, stdout } = await run(host, 'read');
  t.equal(exitCode, 0);
  t.match(stdout, /read 64\/64 bytes at offset 4194304/);
  const byte = blockByte(imageSizeBytes / 2 / 4096)
    .toString(16)
    .padStart(2, '0');
  t.match(stdout, new RegExp(`^00400000: {2}${byte} ${byte} `, 'm'));
  const isCached = (shown: string): boolean =>
    shown.split('\n').some((line) => {
      const [offset, length, type] = line.trim().split(/\s+/).map(Number);
      const start = offset ?? Number.NaN;
      return type === 1 && start <= imageSizeBytes / 2 && start + (length ?? 0) > imageSizeBytes / 2;
    });
  // Reads are answered before what they brought is stored: the chunk of the offset has type 1 a moment later at the latest.
  let shown = stdout;
  await until('the chunk is cached', async () => {
    if (!isCached(shown)) ({ stdout: shown } = await run(host, 'read'));
    return isCached(shown);
  });
  t.pass('the chunk of the offset is cached');
});

t.test('compare tells equal from different', async (t) => {
  const host = await createHost(t);
  await host.serve();
  t.equal((await run(host, 'compare', host.imagePath)).exitCode, 0);

  const other = join(host.dir, 'other.raw');
  await writeFile(other, Buffer.alloc(imageSizeBytes, 1));
  t.equal((await run(host, 'compare', other)).exitCode, 1);
});
