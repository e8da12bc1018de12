/** What happens to requests whose device is slow or broken. Needs a subject that can be made so. */
import type { Test } from 'tap';
import { pattern } from './content.js';
import { ruleInEachMode } from './rule.js';
import type { Subject } from './subject.js';
import { Cmd, Errno } from './wire/constant.js';

export function fault(t: Test, subject: Subject): void {
  const { fault } = subject;
  if (fault === undefined) return;
  const healthy = fault.offset + fault.lengthBytes;

  ruleInEachMode(t, subject, 'a slow request holds up no other, and replies come as they are ready', async (t, client, replies) => {
    const session = await client.file({ replies });
    const other = await client.file({ replies });
    fault.hold();
    t.teardown(() => fault.release());
    const slow = session.send({ type: Cmd.read, offset: fault.offset, lengthBytes: 4096 });
    await fault.waiting(1);
    const fast = Array.from({ length: 20 }, (_, index) =>
      session.send({ type: Cmd.read, offset: healthy + index * 4096, lengthBytes: 4096 }),
    );
    for (const cookie of fast) t.equal((await session.answer(cookie)).error, 0);
    t.equal((await other.read(healthy, 4096)).error, 0);
    fault.release();
    t.equal((await session.answer(slow)).error, 0);
    t.equal(session.finished.length, fast.length + 1);
    t.equal(session.finished.at(-1), slow, 'the slow one is answered last');
  });

  ruleInEachMode(t, subject, 'DISC waits for what is in flight', async (t, client, replies) => {
    const session = await client.file({ replies });
    fault.hold();
    t.teardown(() => fault.release());
    const bytes = pattern(4096, 99);
    const slow = session.send({ type: Cmd.write, offset: fault.offset, payload: bytes });
    await fault.waiting(1);
    session.send({ type: Cmd.disc });
    fault.release();
    t.equal((await session.answer(slow)).error, 0);
    t.equal((await session.bytes.rest('end of the connection')).length, 0);
  });

  ruleInEachMode(t, subject, 'a client that vanishes with requests in flight harms nobody', async (t, client, replies) => {
    const bystander = await client.file({ replies });
    fault.hold();
    t.teardown(() => fault.release());
    const session = await client.file({ replies });
    for (let index = 0; index < 10; index += 1) session.send({ type: Cmd.read, offset: fault.offset, lengthBytes: 4096 });
    await fault.waiting(10);
    session.bytes.destroy();
    t.equal((await bystander.read(healthy, 4096)).error, 0);
    fault.release();
    t.equal((await bystander.read(fault.offset, 4096)).error, 0);
  });

  const codes: [string, number][] = [
    ['EIO', Errno.EIO],
    ['ENOSPC', Errno.ENOSPC],
    ['EDQUOT', Errno.ENOSPC],
    ['EFBIG', Errno.ENOSPC],
    ['EROFS', Errno.EPERM],
    ['ERR_DEADLINE', Errno.EIO],
    ['ERR_WHATEVER', Errno.EIO],
    ['ESHUTDOWN', Errno.EIO],
  ];
  ruleInEachMode(t, subject, 'an error of the device is told by number, and the connection goes on', async (t, client, replies) => {
    const session = await client.file({ replies });
    t.teardown(() => fault.fail(undefined));
    for (const [code, expected] of codes) {
      fault.fail(code);
      t.equal((await session.write(fault.offset, Buffer.alloc(512))).error, expected, `write: ${code}`);
      t.equal((await session.do({ type: Cmd.trim, offset: fault.offset, lengthBytes: 512 })).error, expected, `trim: ${code}`);
      t.equal((await session.read(fault.offset, 512)).error, expected, `read: ${code}`);
      t.equal((await session.read(fault.offset - 512, 1024)).error, expected, 'a read that is partly bad');
      t.equal((await session.read(healthy, 512)).error, 0);
    }
  });
}
