/**
 * Makes a state directory by a release's own daemons and clients: `node make-state.js MAIN VERSION TO`.
 * MAIN is `dist/src/cli/main.js` of that release. `TO/VERSION.tar.gz` and `TO/VERSION.json` are the result.
 * `.ci/keep-release` runs it.
 *
 * The state has: an image that is cached whole and whose origin is away later; a disk over it with a
 * snapshot; a blank disk; a disk that came from another node and one that went there; a displaced
 * client.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { addressesOf } from '../daemon/clustered-node.js';
import { Daemon } from '../fault/daemon.js';
import { until } from '../support/wait.js';
import { attach, change, command, digestOf, fill } from './client.js';
import type { KeptState } from './kept-state.js';
import { diskStatus, hasWhole, memberOptions, seesAll } from './member.js';

const [main = '', version = '', to = ''] = process.argv.slice(2);
const ids = ['kept', 'other'];
const mib = 2 ** 20;

const folder = mkdtempSync(join(tmpdir(), 'copse-state-'));
const addresses = await addressesOf(ids.length);
const daemons = ids.map((_, index) => new Daemon(mkdtempSync(join(folder, 'node-')), memberOptions(ids, addresses, index, main)));
const [kept, other] = daemons as [Daemon, Daemon];
try {
  for (const daemon of daemons) await daemon.start();
  for (const daemon of daemons) await seesAll(daemon, ids.length);
  const state = await fillState();
  for (const daemon of daemons) await daemon.stop();
  writeFileSync(join(to, `${version}.json`), `${JSON.stringify(state, undefined, 2)}\n`);
  await execa('tar', [
    '-C',
    kept.state,
    '--sparse',
    '--owner=0',
    '--group=0',
    '--exclude=./run',
    '--exclude=*.sock',
    '-czf',
    join(to, `${version}.tar.gz`),
    '.',
  ]);
} finally {
  for (const daemon of daemons) await daemon.kill();
  rmSync(folder, { recursive: true, force: true });
}

async function fillState(): Promise<KeptState> {
  const image = join(folder, 'base.raw');
  writeFileSync(image, Buffer.concat([Buffer.alloc(mib, 'an image '), Buffer.alloc(mib), Buffer.alloc(mib, 'its end ')]));
  await command(kept, 'image', 'add', 'base', `file://${image}`);
  await command(kept, 'image', 'warm', 'base');

  await command(kept, 'disk', 'create', 'vm', '--image', 'base', '--size', '8M');
  await change(kept, 'vm', 300 * 1024, mib, 'before the snapshot');
  await command(kept, 'disk', 'snapshot', 'vm', 'first');
  const snapshot = { disk: 'vm', name: 'first', digest: await digestOf(kept, 'vm') };
  await change(kept, 'vm', mib, 2 * mib, 'after the snapshot');
  await command(kept, 'disk', 'create', 'blank', '--size', '4M');
  await change(kept, 'blank', 4096, 8192, 'blank no more');

  await command(other, 'disk', 'create', 'came', '--size', '4M');
  await change(other, 'came', 0, mib, 'written at the other node');
  await change(kept, 'came', mib / 2, mib, 'written here');
  await hasWhole(kept, 'came');
  await command(kept, 'disk', 'create', 'went', '--size', '4M');
  await change(kept, 'went', 0, mib, 'written here');
  await change(other, 'went', mib / 2, mib, 'written at the other node');
  await hasWhole(other, 'went');
  await until('the blocks here are gone', async () => (await diskStatus(kept, 'went')).place === 'elsewhere');

  const fenced = { disk: 'blank', address: '127.2.0.1' };
  const [early, late] = [await attach(kept, 'blank', fenced.address), await attach(kept, 'blank', '127.2.0.2')];
  for (const session of [early, late]) {
    const error = await fill(session, 65_536, 4096, 'in turn');
    if (error !== 0) throw new Error(`a write failed with ${error}`);
  }
  if ((await fill(early, 65_536, 4096, 'again')) === 0) throw new Error('the first client was not displaced');
  for (const session of [early, late]) session.bytes.destroy();

  const digests: Record<string, string> = {};
  for (const name of ['base', 'vm', 'blank', 'came']) digests[name] = await digestOf(kept, name);
  return { version, node: ids[0] ?? '', digests, snapshot, fenced, went: 'went' };
}
