/** `copse disk …`: what is asked of the daemon, and what is printed. */
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { CopseError } from '../../src/base/error.js';
import { GiB } from '../../src/base/size.js';
import { describeDisk } from '../../src/cli/describe-disk.js';
import { exitCodeOf } from '../../src/cli/exit-code.js';
import { busyDisk, idleDisk } from '../admin/fake-disks.js';
import { fakeDaemon, runShared, start } from './run.js';

const noControlCharacter = /\p{Cc}(?<!\n)/u;

async function diskDaemon(test: Test) {
  const daemon = await fakeDaemon(test);
  for (const disk of [idleDisk, busyDisk]) daemon.control.disks.known.set(disk.name, disk);
  const disk = (...args: string[]) => daemon.cli('disk', ...args);
  return { ...daemon, disk };
}

t.test('create', async (t) => {
  const { control, disk } = await diskDaemon(t);
  const created = await disk('create', 'vm2', '--image', 'debian/12', '--size', '40G');
  t.equal(created.exitCode, 0, created.stderr);
  t.match(created.stdout, /^size +40 GiB \(42949672960 bytes\)\nimage +debian\/12$/m);
  t.match(created.stdout, /^attach +nbd\+unix:\/\/\/vm2\?socket=\/run\/copse\/nbd\.sock$/m);
  t.same(control.disks.calls.at(-1), ['create', { name: 'vm2', sizeBytes: 40 * GiB, image: 'debian/12' }]);

  const args = ['create', 'b', '--size', '1G', '--handover', 'explicit', '--multi-conn', '--deadline', '2m', '--json'];
  t.same(JSON.parse((await disk(...args)).stdout), control.disks.known.get('b'));
  const request = { name: 'b', sizeBytes: GiB, handover: 'explicit', multiConn: true, deadlineMs: 120_000 };
  t.same(control.disks.calls.at(-1), ['create', request]);

  const again = await disk('create', 'b', '--size', '1G', '--json');
  t.same([again.exitCode, again.stderr], [5, 'copse: disk b exists']);
  t.same(JSON.parse(again.stdout), { error: { code: 'ERR_DISK_EXISTS', message: 'disk b exists' } });
});

t.test('a name that is a path out of its directory ends the command, before any daemon is asked', async (t) => {
  const state = ['--state', '/nonexistent', '--json'];
  const commands = [
    ['disk', 'create', 'a/../b', '--size', '1G'],
    ['disk', 'create', 'a', '--image', 'a/../b'],
    ['disk', 'import', 'a/../b', '/etc/hostname'],
    ['disk', 'rename', 'a', 'a/../b'],
    ['disk', 'promote', 'a', 'a/../b'],
    ['image', 'add', 'a/../b', '/a.raw'],
    ['image', 'add', 'a', '/a.qcow2', '--backing', 'b.qcow2=a/../b'],
    ['image', 'rename', 'a', 'a/../b'],
  ];
  for (const command of commands) {
    const { exitCode, stdout } = await runShared([...command, ...state]);
    t.same([exitCode, (JSON.parse(stdout) as { error: { code: string } }).error.code], [2, 'ERR_NAME'], command.join(' '));
  }
});

t.test('ls', async (t) => {
  const { control, disk } = await diskDaemon(t);
  control.disks.known.set('far', { ...idleDisk, name: 'far', place: 'unreachable', owner: 'host-z', overlay: undefined });
  const { stdout } = await disk('ls');
  t.equal(
    stdout,
    `NAME     SIZE    IMAGE      OWNER   PLACE        WRITTEN  ATTACHED
scratch  1 GiB   -          host-a  here         0 B      0
vm/1     40 GiB  debian/12  host-a  here         3 GiB    1 + host-b
far      1 GiB   -          host-z  unreachable  -        0
vm/1: blocks are still on host-d, which does not answer: reads of them fail until it is back`,
  );
  t.notMatch(stdout, noControlCharacter);
  t.same(JSON.parse((await disk('ls', '--json')).stdout), JSON.parse(JSON.stringify([...control.disks.known.values()])));
  control.disks.known.clear();
  t.match((await disk('ls')).stdout, /^no disks; create one by/);
  t.match((await disk('status')).stdout, /^no disks/);
});

t.test('status', async (t) => {
  const { disk } = await diskDaemon(t);
  const { stdout } = await disk('status', 'vm/1');
  t.equal(
    stdout,
    `name          vm/1
uuid          6f1c2f0a-2c0e-4f0b-9d1a-0b5f4a3c2d10
size          40 GiB (42949672960 bytes)
image         debian/12
created       2026-11-22T15:00:00.000Z
owner         host-a, this node
epoch         3
handover      auto: to the node on which a client writes
clients       1 here, others on host-b
written       3 GiB, 512 MiB of zeros; 3.3 GiB on this host's disk
to come       1 GiB from host-c
to come       64 MiB from host-d, which does not answer: reads of these blocks fail meanwhile
copied ahead  to host-e, 20 MiB behind
fenced        unix:4711:88, displaced by unix:4722:99 (qemu-system-x86) at 2026-11-22T16:00:00.000Z
              these clients get errors until "copse disk take vm/1": first make sure that only one of them uses the disk
message       blocks are still on host-d, which does not answer: reads of them fail until it is back
attach        nbd+unix:///vm/1?socket=/run/copse/nbd.sock

SNAPSHOT        CREATED                   SIZE    WRITTEN
before-upgrade  2026-11-22T15:30:00.000Z  20 GiB  2 GiB`,
  );
  t.notMatch(stdout, noControlCharacter);
  t.same(JSON.parse((await disk('status', 'vm/1', '--json')).stdout), busyDisk);
  t.same(JSON.parse((await disk('status', '--json')).stdout), [idleDisk, busyDisk]);
  t.equal((await disk('status')).stdout.match(/^uuid /gm)?.length, 2);
  t.match(await disk('status', 'none'), { exitCode: 4, stderr: 'copse: there is no disk none' });
});

t.test('a disk that is elsewhere, and one that nobody owns for the moment', async (t) => {
  const place = (text: string): string | undefined => /^owner +(.*)$/m.exec(text)?.[1];
  const far = { ...idleDisk, owner: 'host-b', overlay: undefined } as const;
  t.equal(place(describeDisk({ ...far, place: 'elsewhere' }, [])), 'host-b; clients here read through that node');
  t.match(place(describeDisk({ ...far, place: 'unreachable' }, [])), /^host-b, which does not answer/);
  t.match(place(describeDisk({ ...far, place: 'granted' }, [])), /^handed over to host-b, which has not yet confirmed/);
  t.match(
    describeDisk({ ...far, place: 'elsewhere', handover: 'explicit' }, []),
    /^handover +explicit: only by "copse disk take scratch"$/m,
  );
  t.match(describeDisk({ ...idleDisk, replica: { node: 'host-b', behindBytes: 0 } }, []), /^copied ahead +to host-b, complete$/m);
  t.match(describeDisk({ ...idleDisk, multiConn: true }, []), /^multi-conn +yes/m);
});

t.test('resize, rm, snapshot-rm', async (t) => {
  const { control, disk } = await diskDaemon(t);
  t.match(await disk('resize', 'scratch', '2G'), { exitCode: 0, stdout: 'scratch: 2 GiB (2147483648 bytes)' });
  t.equal(JSON.parse((await disk('resize', 'scratch', '3G', '--json')).stdout).sizeBytes, 3 * GiB);
  t.match(await disk('snapshot-rm', 'vm/1', 'before-upgrade'), { exitCode: 0, stdout: 'removed snapshot before-upgrade of vm/1' });
  t.same(control.disks.known.get('vm/1')?.snapshots, []);
  t.match(await disk('rm', 'scratch'), { exitCode: 0, stdout: 'removed scratch' });
  t.same(JSON.parse((await disk('rm', 'vm/1', '--json')).stdout), { removed: 'vm/1' });
  t.equal(control.disks.known.size, 0);
});

t.test('jobs: snapshot, revert, promote, migrate', async (t) => {
  const { control, disk } = await diskDaemon(t);
  const progress = { doneBytes: 3 * GiB, totalBytes: 3 * GiB };
  const snapshot = await disk('snapshot', 'vm/1', 's');
  t.match(snapshot, { exitCode: 0, stdout: 'vm/1: snapshot s is made', stderr: /^snapshot vm\/1: 0 B of 3 GiB \(0 %\)/ });
  t.same(JSON.parse((await disk('snapshot', 'vm/1', 's', '--json')).stdout), { name: 'vm/1', snapshot: 's', ...progress });
  t.match(await disk('revert', 'vm/1', 's'), { exitCode: 0, stdout: 'vm/1 is as it was at snapshot s' });

  const promoted = await disk('promote', 'vm/1', 'golden');
  const lines = promoted.stdout.split('\n');
  t.same(lines, [
    'image golden: 3 GiB, /var/lib/copse/promoted/golden.raw',
    'manifest /var/lib/copse/promoted/golden.raw.manifest',
    `blake3:${'cd'.repeat(32)}`,
  ]);
  const json = await disk('promote', 'vm/1', 'golden', '--file', 'g.raw', '--json');
  t.match(JSON.parse(json.stdout), { name: 'vm/1', image: 'golden', path: `${process.cwd()}/g.raw`, ...progress });
  t.equal(json.stderr, '');

  t.match(await disk('migrate', 'vm/1', '--to', 'host-b'), { exitCode: 0, stdout: 'vm/1: host-b owns it now' });
  control.disks.migrated = { handedOver: false, message: 'host-b takes over with the next write there' };
  t.same(JSON.parse((await disk('migrate', 'vm/1', '--to', 'host-b', '--json')).stdout), {
    name: 'vm/1',
    to: 'host-b',
    ...progress,
    ...control.disks.migrated,
  });
  control.jobFailure = new CopseError('ERR_DISK_IN_USE', 'a client is attached: shut it down first');
  t.match(await disk('revert', 'vm/1', 's'), { exitCode: 5, stderr: /copse: a client is attached: shut it down first$/ });
});

t.test('take', async (t) => {
  const { control, disk } = await diskDaemon(t);
  t.match(await disk('take', 'scratch'), { exitCode: 0, stdout: 'host-a owned scratch already; no client is fenced any more' });
  t.same(control.disks.calls.at(-1), ['take', 'scratch', {}]);
  control.disks.known.set('far', { ...idleDisk, name: 'far', place: 'elsewhere', owner: 'host-z', epoch: 6 });
  t.match(await disk('take', 'far'), { exitCode: 0, stdout: 'host-a owns far now, epoch 7; before: host-z' });

  control.disks.known.set('far', { ...busyDisk, name: 'far', place: 'unreachable', owner: 'host-z' });
  const forced = await disk('take', 'far', '--force', '--accept-loss');
  t.same(control.disks.calls.at(-1), ['take', 'far', { force: true, acceptLoss: true }]);
  t.match(forced.stdout, /\n1 GiB still to come from host-c\n64 MiB still to come from host-d, which does not answer$/);
  t.match(JSON.parse((await disk('take', 'far', '--json')).stdout), { name: 'far', owner: 'host-a' });

  control.failure = new CopseError('ERR_DISK_LOSS', '3 GiB of far are on host-z alone');
  const loss = await disk('take', 'far', '--force');
  t.same(
    [loss.exitCode, loss.stderr],
    [5, 'copse: 3 GiB of far are on host-z alone\ncopse: to give them up: copse disk take far --force --accept-loss'],
  );
});

t.test('exit codes', async (t) => {
  for (const [code, exitCode] of [
    ['ERR_NO_SUCH_DISK', 4],
    ['ERR_NO_SUCH_SNAPSHOT', 4],
    ['ERR_DISK_EXISTS', 5],
    ['ERR_DISK_IN_USE', 5],
    ['ERR_DISK_INCOMPLETE', 5],
    ['ERR_NOT_OWNER', 5],
    ['ERR_OWNER_UNREACHABLE', 5],
    ['ERR_SNAPSHOT_EXISTS', 5],
    ['ERR_FILE_EXISTS', 5],
    ['ERR_DISK_LOSS', 5],
    ['ENOSPC', 7],
    ['ERR_QEMU_IMG', 1],
    ['EIO', 1],
  ] as const) {
    t.equal(exitCodeOf(code), exitCode, code);
  }
  const { control, disk } = await diskDaemon(t);
  control.failure = new CopseError('ENOSPC', 'no space in /var/lib/copse');
  t.match(await disk('create', 'x', '--size', '1G'), { exitCode: 7, stdout: '', stderr: 'copse: no space in /var/lib/copse' });
});

t.test('wrong usage', async (t) => {
  const cases: [args: string, stderr: RegExp][] = [
    ['disk', /Usage: copse disk/],
    ['disk create', /missing required argument 'name'/],
    ['disk create x', /--image IMAGE or, if it is blank, --size SIZE/],
    ['disk create x --size many', /is not a size/],
    ['disk create x --size 0', /above 0/],
    ['disk create x --size 1G --handover never', /auto or explicit/],
    ['disk create x --size 1G --deadline 5', /is not a duration/],
    ['disk resize x', /missing required argument 'size'/],
    ['disk migrate x', /required option '--to <node>' not specified/],
    ['disk take x --accept-loss', /--accept-loss needs --force/],
    ['disk export x y', /--format qcow2 or --format raw/],
    ['disk export x y.qcow2 --format vmdk', /write qcow2 or raw/],
    ['disk snpashot x y', /Did you mean snapshot\?/],
    ['revert x y', /Did you mean copse disk revert\?/],
  ];
  for (const [args, stderr] of cases) {
    const result = await runShared(args.split(' '));
    t.same([result.exitCode, result.stdout], [2, ''], args);
    t.match(result.stderr, stderr, args);
  }
});

t.test('a job is ended by SIGINT', async (t) => {
  const { control, stateDir } = await diskDaemon(t);
  control.hangs = true;
  const child = start(['disk', 'migrate', 'vm/1', '--to', 'host-b', '--state', stateDir]);
  if (child.stderr === null || child.stderr === undefined) throw new Error('no stderr');
  await once(child.stderr, 'data');
  child.kill('SIGINT');
  t.equal((await child).exitCode, 130);
  await control.aborted;
});
