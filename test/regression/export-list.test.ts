/**
 * `nbdinfo --list` failed with some 550 exports, because a connection ended after 1000 options, and it puts two questions about
 * each export. In a cluster every disk of every node is an export. Each question looked through all disks, besides.
 *
 * COPSE_TEST_EXPORTS sets the number of exports (1500 unless given; the mark is 5000 in 5 s).
 */
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { Daemon } from '../fault/daemon.js';
import { shortDir } from '../support/short-dir.js';
import { diskName, imageName, knownName, writeDisks, writeImages, writeKnownDisks } from './many-exports.js';

const exportCount = Number(process.env['COPSE_TEST_EXPORTS'] ?? 1500);

t.test('nbdinfo lists all exports of a node, disks of other nodes included', async (t) => {
  const folder = shortDir(t);
  const stateDir = join(folder, 'state');
  const [imageCount, knownCount] = [100, Math.floor(exportCount / 2)];
  const diskCount = exportCount - imageCount - knownCount;
  writeImages(stateDir, imageCount);
  writeDisks(stateDir, diskCount);
  writeKnownDisks(stateDir, knownCount);
  const daemon = await Daemon.start(t, { images: {}, state: stateDir });
  const startMs = performance.now();
  const { stdout, stderr, exitCode } = await execa('nbdinfo', ['--list', '--json', `nbd+unix:///?socket=${daemon.socketPath}`], {
    reject: false,
  });
  t.comment(`${exportCount} exports took ${Math.round(performance.now() - startMs)} ms`);
  t.equal(exitCode, 0, stderr);
  const { exports } = JSON.parse(stdout) as { exports: Record<string, unknown>[] };
  const names = [
    ...Array.from({ length: imageCount }, (_, index) => imageName(index)),
    ...Array.from({ length: diskCount }, (_, index) => diskName(index)),
    ...Array.from({ length: knownCount }, (_, index) => knownName(index)),
  ];
  t.same(exports.map((one) => one['export-name']).sort(), names.sort());
  for (const name of [imageName(0), diskName(0), knownName(0)]) {
    const one = exports.find((candidate) => candidate['export-name'] === name);
    t.match(one, { 'export-size': 2 ** 30, is_read_only: name === imageName(0), block_size_preferred: 4096 }, name);
  }
  t.equal((await daemon.status())['connections'], 0);
  t.notMatch(daemon.stderr, 'attached', 'whoever only asks attaches to nothing');
});
