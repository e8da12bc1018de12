/** The clusters of the examples, run as the README says; only the building of packages is left out where nothing is missing. */
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { examplesDir } from './host.js';

const imageMiB = 64;

for (const { title, options, maxOriginMiB } of [
  // Half as much again is for a host that is so busy that the others take it for dead. Each for itself they would cost thrice as much.
  { title: 'static peers', options: [], maxOriginMiB: 1.5 * imageMiB },
  // A sealed image's zero chunks, more than half of this one, are asked of nobody.
  { title: 'etcd', options: ['--etcd'], maxOriginMiB: 0.75 * imageMiB },
]) {
  t.test(`${title}: three hosts read an image that the origin sends once, a fourth one reads it without the origin`, async (t) => {
    const { exitCode, all, stdout } = await execa('bash', [join(examplesDir, 'cluster', 'run'), ...options], { reject: false, all: true });
    t.equal(exitCode, 0, all);
    t.match(stdout, new RegExp(`members {2}${options.length === 0 ? 'static list' : 'etcd'}`));
    for (const id of ['host-b', 'host-c']) t.match(stdout, new RegExp(`^${id} +127\\.0\\.0\\.1:\\d+ +up `, 'm'));
    t.match(stdout, /the cluster can serve all of it/);

    const [, three = [], fourth = []] = stdout
      .split('\n')
      .filter((line) => line.startsWith('│'))
      .map((line) => line.split('│').map((cell) => cell.trim()));
    const mib = (cell: string | undefined): number => Number.parseFloat(cell ?? '');
    t.equal(mib(three[2]), 3 * imageMiB);
    t.ok(mib(three[3]) > 5 && mib(three[3]) <= maxOriginMiB, `the origin sent ${three[3]}`);
    t.equal(mib(fourth[2]), imageMiB);
    t.equal(mib(fourth[3]), 0);
  });
}
