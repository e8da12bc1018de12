/** Who may write to a disk of one node: reconnects, other clients, fences that outlive the process. */

import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Place } from '../../../src/block/place.js';
import { Gate } from '../../../src/disk/session/gate.js';
import { DiskNotes } from '../../../src/disk/session/notes.js';
import type { DiskSession, SessionHost } from '../../../src/disk/session/session.js';
import { WriterElection } from '../../../src/disk/session/writer.js';
import { ManualClock } from '../../cache/manual-clock.js';
import { ScriptedDevice } from '../../server/scripted-device.js';
import { keptLog } from '../folder/sample.js';

const uuid = '0b64ee5d-2a0a-4a58-a68f-9f5ad84a6b8d';
const blockBytes = 4096;

class SlowDisk extends ScriptedDevice {
  onWrite: (offset: number) => Promise<void> = async () => {};

  override async read(): Promise<Place> {
    return 'cache';
  }

  override async write(source: Buffer, offset: number): Promise<void> {
    await this.onWrite(offset);
    await super.write(source, offset);
  }
}

class Scene {
  readonly clock = new ManualClock();
  readonly disk = new SlowDisk(Buffer.alloc(16 * blockBytes));
  readonly log = keptLog();
  readonly #path: string;
  readonly #multiConn: boolean;
  /** Processes that have ended. */
  readonly dead = new Set<string>();
  notes: DiskNotes;
  attachment: WriterElection;

  constructor(t: Test, multiConn = false) {
    this.#path = join(t.testdir({}), 'disk-notes.json');
    this.#multiConn = multiConn;
    [this.notes, this.attachment] = this.#begin();
  }

  /** As after the daemon's end, by kill -9 or not. */
  restart(): void {
    [this.notes, this.attachment] = this.#begin();
  }

  attach(key: string): DiskSession {
    return this.attachment.attach({ key, text: key });
  }

  #begin(): [DiskNotes, WriterElection] {
    const { clock, disk } = this;
    const notes = new DiskNotes({
      path: this.#path,
      isAlive: (client) => (client.startsWith('unix:') ? !this.dead.has(client) : undefined),
    });
    const multiConn = this.#multiConn;
    const host: SessionHost = {
      sizeBytes: disk.sizeBytes,
      multiConn,
      here: disk,
      files: undefined,
      gate: new Gate(),
      mayChange: (session) => attachment.mayChange(session),
      admit: (session) => attachment.promote(session),
      countdown: (options) => () => options,
      pause: () => Promise.reject(new Error('nothing passes here')),
      view: () => Promise.reject(new Error('it is here')),
      relocate: async () => {},
      refused: (session) => attachment.refused(session),
      left: (session) => attachment.left(session),
    };
    const attachment = new WriterElection({ host, uuid, name: 'vm', notes, clock, log: Object.assign(this.log.log, { info: () => {} }) });
    return [notes, attachment];
  }
}

function write(session: DiskSession, block = 0): Promise<void> {
  return session.write(Buffer.alloc(blockBytes, 1), block * blockBytes);
}

function read(session: DiskSession): Promise<unknown> {
  return session.read(Buffer.alloc(blockBytes), 0);
}

const fenced = { code: 'ERR_FENCED' };

t.test('a newer connection of the same process cuts the older one off, and nobody is remembered', async (t) => {
  const scene = new Scene(t);
  const first = scene.attach('unix:1:1');
  await write(first);
  const again = scene.attach('unix:1:1');
  await read(again);
  await write(first, 1);
  await write(again, 2);
  await t.rejects(write(first), fenced);
  await t.rejects(read(first), fenced);
  await t.rejects(first.trim(0, blockBytes), fenced);
  await t.rejects(first.writeZeroes(0, blockBytes), fenced);
  await t.rejects(first.flush(), fenced);
  t.equal(first.readNow(Buffer.alloc(blockBytes), 0, blockBytes, 0), false);
  t.equal(first.isZeroNow(0, blockBytes), false);
  await first.close();
  await write(again, 3);
  await write(scene.attach('unix:1:1'), 4);
  t.same(scene.notes.fences(uuid), []);
});

t.test('another client that writes stops the first for good', async (t) => {
  const scene = new Scene(t);
  const first = scene.attach('unix:1:1');
  await write(first);
  const second = scene.attach('unix:2:1');
  await write(second);
  await t.rejects(write(first), fenced);
  const back = scene.attach('unix:1:1');
  await t.rejects(write(back), fenced, 'also when it attaches anew');
  await t.rejects(read(back), fenced);
  await write(second);
  scene.restart();
  await t.rejects(write(scene.attach('unix:1:1')), fenced, 'and after a restart of the daemon');
  await write(scene.attach('unix:2:1'));
  await write(scene.attach('unix:1:2'), 5);
  t.pass('a process of the same number is another one');
  t.match(scene.log.lines[0]?.text, /another client writes/);
});

t.test('who only read is not remembered', async (t) => {
  const scene = new Scene(t);
  const reader = scene.attach('unix:1:1');
  await read(reader);
  await write(scene.attach('unix:2:1'));
  t.same(scene.notes.fences(uuid), []);
  await t.rejects(read(reader), fenced, 'what it has in its caches may be old');
  await read(scene.attach('unix:1:1'));
});

t.test('who wrote before a restart and comes back late is displaced all the same', async (t) => {
  for (const reconnected of [false, true]) {
    const scene = new Scene(t);
    await write(scene.attach('unix:1:1'));
    scene.restart();
    if (reconnected) scene.attach('unix:1:1');
    await write(scene.attach('unix:2:1'));
    await t.rejects(write(scene.attach('unix:1:1')), fenced);
    t.match(scene.notes.fences(uuid), [{ client: 'unix:1:1', by: 'unix:2:1' }]);
  }
  const ended = new Scene(t);
  await write(ended.attach('unix:1:1'));
  ended.restart();
  ended.dead.add('unix:1:1');
  await write(ended.attach('unix:2:1'));
  t.same(ended.notes.fences(uuid), [], 'not one that has ended');
});

t.test('who lets go of the disk may come back to it', async (t) => {
  const scene = new Scene(t);
  const first = scene.attach('unix:1:1');
  await write(first);
  await first.close();
  const second = scene.attach('unix:2:1');
  await write(second);
  await second.close();
  await write(scene.attach('unix:1:1'));
  t.same(scene.notes.fences(uuid), []);
  // But not when it was this node that went.
  const stopped = new Scene(t);
  const guest = stopped.attach('unix:1:1');
  await write(guest);
  stopped.notes.stopping();
  await guest.close();
  stopped.restart();
  await write(stopped.attach('unix:2:1'));
  await t.rejects(write(stopped.attach('unix:1:1')), fenced);
});

t.test('a handover fences all who are attached, and can be undone', async (t) => {
  const scene = new Scene(t);
  const first = scene.attach('unix:1:1');
  await write(first);
  const second = scene.attach('unix:2:1');
  await write(second);
  const reader = scene.attach('unix:3:1');
  await read(reader);
  scene.attachment.displaceAll('node b', 2);
  for (const session of [second, reader]) await t.rejects(read(session), fenced);
  t.same(
    scene.notes.fences(uuid).map(({ client }) => client),
    ['unix:1:1', 'unix:2:1'],
  );
  scene.attachment.readmit(2);
  await write(second);
  await read(reader);
  await t.rejects(write(first), fenced, 'who was displaced before stays so');
  // And again, after a restart in between, before it has come back.
  scene.restart();
  scene.attachment.displaceAll('node b', 4);
  await t.rejects(write(scene.attach('unix:2:1')), fenced);
});

t.test('an operator lifts all fences: the first to write is the one', async (t) => {
  const scene = new Scene(t);
  const first = scene.attach('unix:1:1');
  await write(first);
  const second = scene.attach('unix:2:1');
  await write(second);
  scene.attachment.liftFences();
  t.same(scene.notes.fences(uuid), []);
  await write(first);
  await t.rejects(write(second), fenced, 'though the other one is newer');
  await t.rejects(write(scene.attach('unix:2:1')), fenced);
});

t.test('over TCP a client is its address', async (t) => {
  const scene = new Scene(t);
  const first = scene.attach('tcp:10.0.0.1');
  await write(first);
  const again = scene.attach('tcp:10.0.0.1');
  await write(again);
  await t.rejects(write(first), fenced);
  t.same(scene.notes.fences(uuid), [], 'a reconnect, as far as anybody knows');
  scene.clock.advance(6000);
  await t.rejects(write(first), fenced);
  t.match(scene.notes.fences(uuid), [{ client: 'tcp:10.0.0.1' }], 'but who still writes is alive: there are two');
  const third = scene.attach('tcp:10.0.0.1');
  await t.rejects(write(third), fenced);
  await read(third);
  t.pass('it may still read');
});

t.test('clients of whom nothing is known are as one address', async (t) => {
  const scene = new Scene(t);
  const first = scene.attach('unknown');
  await write(first);
  const second = scene.attach('unknown');
  await write(second);
  await t.rejects(write(first), fenced);
  await write(scene.attach('unknown'));
  t.same(scene.notes.fences(uuid), [], 'reconnects, as far as anybody knows');
  scene.clock.advance(6000);
  await t.rejects(write(second), fenced);
  await t.rejects(write(scene.attach('unknown')), fenced, 'there are two: none takes the disk back');
  const known = scene.attach('unix:1:1');
  await write(known);
  await t.rejects(write(scene.attach('unknown')), fenced);
  await write(known);
});

t.test('a process that is held by a pidfd is known for as long as the daemon runs', async (t) => {
  const scene = new Scene(t);
  await write(scene.attach('pidfd:1:a.1'));
  const again = scene.attach('pidfd:1:a.1');
  await write(again);
  t.same(scene.notes.fences(uuid), [], 'a reconnect');
  const second = scene.attach('pidfd:2:a.2');
  await write(second);
  await t.rejects(write(scene.attach('pidfd:1:a.1')), fenced);
  const third = scene.attach('pidfd:1:a.3');
  await write(third);
  t.pass('another process of that number is another client');
  scene.restart();
  for (const key of ['pidfd:1:b.1', 'pidfd:2:b.2', 'pidfd:7:b.3', 'unknown']) {
    const session = scene.attach(key);
    await t.rejects(write(session), fenced, `${key} could be one that was displaced before the restart`);
    if (key === 'pidfd:7:b.3' || key === 'unknown') await read(session);
    else await t.rejects(read(session), fenced, `${key} has the number of one`);
  }
  await t.rejects(write(scene.attach('unix:2:5')), fenced, 'a process of a number that was displaced');
  await write(scene.attach('unix:7:5'));
  t.pass('a process that can be seen now and had another number');
  await write(scene.attach('tcp:10.0.0.1'));
  t.pass('a host was none of the processes');
  scene.attachment.liftFences();
  await write(scene.attach('pidfd:7:b.3'));
});

t.test('a process that is held by a pidfd comes back after a restart by its number', async (t) => {
  const scene = new Scene(t);
  await write(scene.attach('pidfd:1:a.1'));
  scene.restart();
  await write(scene.attach('pidfd:1:b.1'));
  t.same(scene.notes.fences(uuid), []);
  scene.restart();
  await write(scene.attach('pidfd:2:c.1'));
  await t.rejects(write(scene.attach('pidfd:1:c.2')), fenced, 'the one that wrote before was displaced before it came back');
  await write(scene.attach('pidfd:2:c.1'));
  t.match(scene.notes.fences(uuid), [{ client: 'pidfd:1:b.1' }]);
});

t.test('with multi-conn nobody displaces anybody', async (t) => {
  const scene = new Scene(t, true);
  const [first, second] = [scene.attach('unix:1:1'), scene.attach('unix:2:1')];
  for (const session of [first, second, first]) await write(session);
  t.same(scene.notes.fences(uuid), []);
  scene.attachment.displaceAll('node b', 2);
  for (const session of [first, second]) await t.rejects(write(session), fenced);
  t.equal(scene.notes.fences(uuid).length, 2);
});

t.test('what is under way is awaited before a newer client may write', async (t) => {
  const scene = new Scene(t);
  const events: string[] = [];
  let finish = (): void => {};
  const first = scene.attach('unix:1:1');
  await write(first);
  scene.disk.onWrite = async (offset) => {
    events.push(`begin ${offset / blockBytes}`);
    if (offset === 0)
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
    events.push(`end ${offset / blockBytes}`);
  };
  const slow = write(first, 0);
  const second = write(scene.attach('unix:2:1'), 1);
  for (let count = 0; count < 20; count += 1) await turn();
  t.same(events, ['begin 0']);
  await t.rejects(write(first, 2), fenced, 'what comes after is refused at once');
  finish();
  await Promise.all([slow, second]);
  t.same(events, ['begin 0', 'end 0', 'begin 1', 'end 1']);
});

t.test('of two newer clients the newest wins, in whatever order they come', async (t) => {
  const scene = new Scene(t);
  const first = scene.attach('unix:1:1');
  await write(first);
  const [second, third] = [scene.attach('unix:2:1'), scene.attach('unix:3:1')];
  const [one, other] = await Promise.allSettled([write(second), write(third)]);
  t.equal(other.status, 'fulfilled');
  await write(third);
  await t.rejects(write(second), fenced, one.status);
  await t.rejects(write(first), fenced);
});
