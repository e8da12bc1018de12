/** What the hook asks of the daemon, and the script that asks it. */
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import t, { type Test } from 'tap';
import { parseDomain } from '../../src/libvirt/domain-xml.js';
import { exportsOf, imagesToWarm, problemsOf } from '../../src/libvirt/hook.js';
import { Listeners } from '../../src/libvirt/listener.js';
import { FakeControl } from '../admin/fake-control.js';
import { busyDisk } from '../admin/fake-disks.js';

const script = fileURLToPath(new URL('../../../examples/libvirt/qemu', import.meta.url));

const source = (name: string, socket = '/s') =>
  `<source protocol='nbd' name='${name}'><host transport='unix' socket='${socket}'/></source>`;
const domainWith = (...sources: string[]): string =>
  `<domain><name>web</name><devices>${sources.map((one) => `<disk>${one}<target dev='vda'/></disk>`).join('')}</devices></domain>`;

t.test("the exports of a domain that are this daemon's, each once", async (t) => {
  const domain = parseDomain(domainWith(source('a'), source('b'), source('a'), source('c', '/other')));
  t.same(exportsOf(domain, new Listeners([{ path: '/s' }])), ['a', 'b']);
});

t.test('what keeps a guest from starting', async (t) => {
  const control = new FakeControl();
  control.disks.known.set(busyDisk.name, busyDisk);
  await control.images.add({ name: 'debian/12', url: 'https://images.example/d.raw' });
  t.same(await problemsOf(control, ['debian/12', busyDisk.name]), []);
  t.match(await problemsOf(control, ['gone', 'debian/12']), [/no disk and no image gone/]);
  control.disks.status = async () => ({ ...busyDisk, place: 'unreachable', message: 'host-b does not answer' });
  t.same(await problemsOf(control, ['vm']), ['host-b does not answer']);
  control.disks.status = async () => ({ ...busyDisk, place: 'elsewhere' });
  t.same(await problemsOf(control, ['vm']), [], 'it is read through its owner');
});

t.test('what is fetched ahead of a guest', async (t) => {
  const control = new FakeControl();
  control.disks.known.set(busyDisk.name, busyDisk);
  for (const name of ['debian/12', 'warm', 'unused']) await control.images.add({ name, url: `https://images.example/${name}` });
  const warm = await control.images.status('warm');
  warm.cache.cachedBytes = warm.sizeBytes;
  t.same(await imagesToWarm(control, [busyDisk.name, 'debian/12', 'warm', 'gone']), ['debian/12']);
});

/** Runs the script over a command that keeps its arguments and input in a file. */
async function runHook(t: Test, args: string[], xml: string, { conf = '', command = '' }: { conf?: string; command?: string } = {}) {
  const dir = t.testdir();
  const [copse, settings, record] = [join(dir, 'copse'), join(dir, 'hook.conf'), join(dir, 'record')];
  await writeFile(
    copse,
    `#!/bin/sh\necho printed\n{ echo "$COPSE_ADMIN $*"; cat; } >"${record}.new"\nmv "${record}.new" "${record}"\n${command}\n`,
  );
  await chmod(copse, 0o755);
  await writeFile(settings, `COPSE=${copse}\nCOPSE_ADMIN=unix:/a\n${conf}\n`);
  const result = await execa(script, args, { input: xml, reject: false, env: { COPSE_HOOK_CONF: settings }, timeout: 60_000 });
  const recorded = () => readFile(record, 'utf8').catch(() => undefined);
  return { ...result, recorded };
}

const ours = domainWith(source('a'));

t.test('the script asks before a start, and passes on the answer', async (t) => {
  const good = await runHook(t, ['web', 'prepare', 'begin', '-'], ours);
  t.equal(good.exitCode, 0);
  t.equal(good.stdout, '', 'libvirt takes that for XML');
  t.equal(await good.recorded(), `unix:/a libvirt hook web prepare begin -\n${ours}`);
  const bad = await runHook(t, ['web', 'prepare', 'begin', '-'], ours, { command: 'echo why >&2; exit 4' });
  t.equal(bad.exitCode, 4);
  t.match(bad.stderr, 'why');
});

t.test('the script ends what takes too long, and says so', async (t) => {
  const slow = await runHook(t, ['web', 'prepare', 'begin', '-'], ours, { conf: 'COPSE_TIMEOUT=1', command: 'exec sleep 300' });
  t.equal(slow.exitCode, 124);
  t.match(slow.stderr, /did not answer within 1 s/);
});

t.test('the script does nothing where there is nothing to do', async (t) => {
  const file = "<domain><devices><disk type='file'/></devices></domain>";
  for (const [args, xml] of [
    [['web', 'prepare', 'begin', '-'], file],
    [['web', 'migrate', 'begin', '-'], file],
    [['web', 'started', 'begin', '-'], ours],
    [['web', 'release', 'end', '-'], ours],
    [['web', 'reconnect', 'begin', '-'], ours],
    [[], ''],
  ] as const) {
    const { exitCode, recorded } = await runHook(t, [...args], xml, { command: 'exit 1' });
    t.equal(exitCode, 0, args.join(' '));
    t.equal(await recorded(), undefined, args.join(' '));
  }
});

t.test('the script does not wait for what is fetched ahead', async (t) => {
  // Not in the test's directory, which each run of the script makes anew.
  const dir = await mkdtemp(join(tmpdir(), 'copse-hook-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const gate = join(dir, 'gate');
  await execa('mkfifo', [gate]);
  const { exitCode, stdout, recorded } = await runHook(t, ['web', 'migrate', 'begin', '-'], ours, { command: `read line <"${gate}"` });
  t.equal(exitCode, 0);
  t.equal(stdout, '');
  // Opening it for writing waits for the command, which therefore has outlived the script.
  await writeFile(gate, 'go\n');
  t.equal(await recorded(), `unix:/a libvirt hook web migrate begin -\n${ours}`);

  const refused = await runHook(t, ['web', 'migrate', 'begin', '-'], ours, { conf: 'COPSE_WARM=no' });
  t.equal(refused.exitCode, 0);
  t.equal(await refused.recorded(), undefined);
});
