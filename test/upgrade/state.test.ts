/** The present daemon on the state directory of each release: nothing is lost, and work goes on. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { version } from '../../src/base/version.js';
import { run } from '../cli/run.js';
import { Daemon } from '../fault/daemon.js';
import { shortDir } from '../support/short-dir.js';
import { attach, change, command, digestOf, fill } from './client.js';
import { keptStates } from './kept-state.js';
import { diskStatus } from './member.js';
import { lastRelease } from './release.js';

const options = (node: string) => ({ images: {}, tcp: true, flags: ['--node', node] });

for (const { archive, state } of keptStates()) {
  t.test(`a state of ${state.version}`, async (t) => {
    const daemon = new Daemon(await shortDir(t), options(state.node));
    t.teardown(() => daemon.kill());
    await execa('tar', ['-C', daemon.state, '-xzf', archive]);
    await daemon.start();

    for (const [name, digest] of Object.entries(state.digests))
      t.equal(await digestOf(daemon, name), digest, `${name} reads as it was written`);
    t.equal((await diskStatus(daemon, state.went)).place, 'unreachable', 'the disk that went away is not owned here');
    const early = await attach(daemon, state.fenced.disk, state.fenced.address);
    t.not(await fill(early, 0, 4096, 'out of turn'), 0, 'a client that was displaced stays out');
    early.bytes.destroy();
    t.equal(await digestOf(daemon, state.fenced.disk), state.digests[state.fenced.disk]);

    const disks = Object.keys(state.digests).filter((name) => name !== 'base');
    const digests: string[] = [];
    for (const name of disks) {
      await change(daemon, name, 8192, 65_536, `by ${version}`);
      digests.push(await digestOf(daemon, name));
      t.not(digests.at(-1), state.digests[name]);
    }
    await command(daemon, 'disk', 'snapshot', 'came', 'second');
    await daemon.kill();
    await daemon.start();
    for (const [index, name] of disks.entries()) t.equal(await digestOf(daemon, name), digests[index], `${name} after a restart`);
    const { disk, name, digest } = state.snapshot;
    await command(daemon, 'disk', 'revert', disk, name);
    t.equal(await digestOf(daemon, disk), digest, 'its snapshot is as it was');

    const notes = join(daemon.state, `before-${version}`, 'disk-notes.json');
    if (state.version === '0.1.0') t.ok(existsSync(notes), 'the file that a step replaced is kept');
    const forget = await run(['state', 'forget', '--state', daemon.state, '--json']);
    t.equal(forget.exitCode, 0, forget.stderr);
    if (state.version === '0.1.0') t.match(JSON.parse(forget.stdout), { removed: [{ version, fileCount: 1 }] });
    t.notOk(existsSync(join(daemon.state, `before-${version}`)));
    await daemon.stop();
    await daemon.start();
    t.equal(await digestOf(daemon, disk), digest, 'the next start needs nothing of it');
  });
}

t.test('the last release opens a state of this version, or refuses it untouched', { timeout: 600_000 }, async (t) => {
  const release = await lastRelease();
  const daemon = new Daemon(await shortDir(t), { images: {}, tcp: true });
  t.teardown(() => daemon.kill());
  const found = keptStates().find(({ state }) => state.version === release.version);
  if (found === undefined) throw new Error(`no state of ${release.version}`);
  await execa('tar', ['-C', daemon.state, '-xzf', found.archive]);
  daemon.configure(options(found.state.node));
  await daemon.start();
  await change(daemon, 'vm', 8192, 65_536, `by ${version}`);
  const digests: Record<string, string> = { ...found.state.digests, vm: await digestOf(daemon, 'vm') };
  await daemon.stop();

  daemon.configure({ ...options(found.state.node), main: release.main });
  const refusal = await daemon.launch();
  if (refusal === undefined) {
    for (const [name, digest] of Object.entries(digests)) t.equal(await digestOf(daemon, name), digest, `${name} at ${release.version}`);
    await change(daemon, 'vm', 1_003_520, 65_536, `by ${release.version}`);
    digests['vm'] = await digestOf(daemon, 'vm');
    await daemon.stop();
  } else {
    t.match(daemon.stderr, `copse ${version}`, 'the message names the version that wrote the state');
  }
  t.equal(refusal === undefined, release.version === '0.1.0', 'docs/reference/versions.md says which');
  daemon.configure(options(found.state.node));
  await daemon.start();
  for (const [name, digest] of Object.entries(digests)) t.equal(await digestOf(daemon, name), digest, `${name} at ${version} again`);
});

t.test('each release of the changelog has its state here', async (t) => {
  const changelog = readFileSync(new URL('../../../CHANGELOG.md', import.meta.url), 'utf8');
  const released = [...changelog.matchAll(/^## (\d+\.\d+\.\d+)/gm)].map(([, each]) => each).filter((each) => each !== version);
  t.same(
    keptStates()
      .map(({ state }) => state.version)
      .sort(),
    released.sort(),
  );
});
