/** NBD_CMD_WRITE, FLUSH, TRIM and WRITE_ZEROES: what they change, and what they must leave alone. Regions of the file are the rules' own. */
import type { Test } from 'tap';
import { pattern } from './content.js';
import { rule, ruleInEachMode } from './rule.js';
import type { Subject } from './subject.js';
import { Cmd, CmdFlag, Errno, Flag } from './wire/constant.js';
import type { Session } from './wire/session.js';

const kibibyte = 1024;

/** A region of 256 KiB that no other rule touches. */
let nextRegion = 0;
function region(): number {
  nextRegion += 1;
  return (nextRegion % 120) * 256 * kibibyte;
}

export function write(t: Test, subject: Subject): void {
  const { image, file, has } = subject;

  ruleInEachMode(t, subject, 'what was written is read back, by this connection and others', async (t, client, replies) => {
    const at = region();
    const session = await client.file({ replies });
    const other = await client.file();
    const model = (await session.read(at, 128 * kibibyte)).data;
    const writes: [number, number, number][] = [
      [0, 4096, 0],
      [1, 1, CmdFlag.fua],
      [4095, 2, 0],
      [5000, 70_000, CmdFlag.fua],
      [100, 50_000, 0],
    ];
    for (const [offset, lengthBytes, flags] of writes) {
      const bytes = pattern(lengthBytes, at + offset);
      t.equal((await session.write(at + offset, bytes, flags)).error, 0);
      bytes.copy(model, offset);
      t.ok((await session.read(at, 128 * kibibyte)).data.equals(model), `${lengthBytes} bytes at ${offset}`);
      if (session.info.flags & Flag.canMultiConn) {
        t.equal((await session.do({ type: Cmd.flush })).error, 0);
        t.ok((await other.read(at, 128 * kibibyte)).data.equals(model), 'a flush makes it visible to other connections');
      }
    }
  });

  ruleInEachMode(
    t,
    subject,
    'a write beyond the end is ENOSPC, changes nothing, and its payload is not taken for requests',
    async (t, client, replies) => {
      const session = await client.file({ replies });
      const size = file.sizeBytes;
      const before = (await session.read(size - 4096, 4096)).data;
      for (const offset of [BigInt(size), BigInt(size - 1), 2n ** 32n * 512n, 2n ** 63n, 2n ** 64n - 4096n, 2n ** 64n - 1n]) {
        t.equal((await session.write(offset, Buffer.alloc(4096, 0x25))).error, Errno.ENOSPC, `${offset}`);
      }
      t.ok((await session.read(size - 4096, 4096)).data.equals(before));
    },
  );

  ruleInEachMode(t, subject, 'a write of nothing does not disconnect', async (t, client, replies) => {
    const session = await client.file({ replies });
    for (const offset of [0, 1, file.sizeBytes]) {
      const { error } = await session.write(offset, Buffer.alloc(0));
      t.ok(error === 0 || error === Errno.EINVAL || error === Errno.ENOSPC, `${error}`);
    }
    t.equal((await session.read(0, 16)).error, 0);
  });

  ruleInEachMode(t, subject, 'writes to a read-only export are EPERM', async (t, client, replies) => {
    const session = await client.image({ replies });
    t.ok(session.info.flags & Flag.readOnly);
    t.equal((await session.write(0, Buffer.alloc(100_000, 1))).error, Errno.EPERM, 'write');
    t.equal((await session.do({ type: Cmd.trim, lengthBytes: 4096 })).error, Errno.EPERM, 'trim');
    t.equal((await session.do({ type: Cmd.writeZeroes, lengthBytes: 4096 })).error, Errno.EPERM, 'write zeroes');
    t.ok((await session.read(0, 4096)).data.equals(image.bytes.subarray(0, 4096)), 'and the payload was skipped');
  });

  ruleInEachMode(
    t,
    subject,
    'a write of the maximum payload works, one of more is refused or ends the connection',
    async (t, client, replies) => {
      const session = await client.file({ replies });
      const announcedBytes = session.info.blockSize?.maximumBytes;
      const maximumBytes = announcedBytes ?? 2 ** 25;
      const bytes = Buffer.alloc(2 ** 25);
      t.equal((await session.do({ type: Cmd.write, offset: 8192, payload: bytes })).error, 0);
      const bystander = await client.file({ replies });
      const refused = await session.do({ type: Cmd.write, offset: 0, payload: Buffer.alloc(maximumBytes + 1) }).catch(() => undefined);
      if (refused === undefined) t.ok(session.bytes.closed, 'disconnected');
      else {
        t.ok(refused.error === Errno.EINVAL || refused.error === Errno.EOVERFLOW || announcedBytes === undefined, `${refused.error}`);
        t.equal((await session.read(0, 16)).error, 0);
      }
      t.equal((await bystander.read(0, 16)).error, 0);
    },
  );

  ruleInEachMode(t, subject, 'flags that are unknown or not for writes are EINVAL and nothing is written', async (t, client, replies) => {
    const at = region();
    const session = await client.file({ replies });
    const before = (await session.read(at, 8192)).data;
    for (const flags of [CmdFlag.noHole, CmdFlag.df, CmdFlag.reqOne, CmdFlag.fastZero, 1 << 6, 1 << 15]) {
      t.equal((await session.write(at, Buffer.alloc(8192, 0x77), flags)).error, Errno.EINVAL, `flags ${flags}`);
    }
    t.ok((await session.read(at, 8192)).data.equals(before));
  });

  ruleInEachMode(t, subject, 'a write may arrive in pieces of any size', async (t, client, replies) => {
    const at = region();
    const session = await client.file({ replies });
    const bytes = pattern(200, at);
    const { cookie, bytes: request } = session.encode({ type: Cmd.write, offset: at, payload: bytes });
    for (const byte of request) {
      await session.bytes.sendAll(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    t.equal((await session.answer(cookie)).error, 0);
    t.ok((await session.read(at, 200)).data.equals(bytes));
  });

  ruleInEachMode(t, subject, 'a write that is cut off changes nothing but its own range and harms nobody', async (t, client, replies) => {
    const at = region();
    const bystander = await client.file({ replies });
    t.equal((await bystander.write(at, pattern(16_384, 3))).error, 0);
    const expected = pattern(16_384, 3);
    for (const cut of [1, 27, 28, 29, 32, 33, 4000]) {
      const session = await client.file({ replies });
      session.bytes.send(session.encode({ type: Cmd.write, offset: at + 4096, payload: Buffer.alloc(4096, cut) }).bytes.subarray(0, cut));
      session.bytes.stream.end();
      await session.bytes.rest('end of the connection that was cut');
    }
    const after = (await bystander.read(at, 16_384)).data;
    t.ok(after.subarray(0, 4096).equals(expected.subarray(0, 4096)) && after.subarray(8192).equals(expected.subarray(8192)));
    t.ok(after.equals(expected), 'a payload that did not come whole is not written');
  });

  ruleInEachMode(t, subject, 'FLUSH is granted where it is offered', async (t, client, replies) => {
    const session = await client.file({ replies });
    t.ok(session.info.flags & Flag.sendFlush);
    t.equal((await session.do({ type: Cmd.flush })).error, 0);
    t.equal((await session.do({ type: Cmd.flush, flags: CmdFlag.fua })).error, 0, 'FUA is accepted on any command');
    const image = await client.image({ replies });
    const { error } = await image.do({ type: Cmd.flush });
    t.equal(error, image.info.flags & Flag.sendFlush ? 0 : Errno.EINVAL, 'on an image as its flags say');
    t.equal((await session.do({ type: Cmd.flush, flags: CmdFlag.noHole })).error, Errno.EINVAL);
  });

  zero(t, subject);

  rule(
    t,
    subject,
    'with extended headers a WRITE without the payload flag is an error, and writes nothing',
    async (t, client) => {
      const at = region();
      const session = await client.file({ replies: 'extended' });
      const before = (await session.read(at, 512)).data;
      // Without the flag there is no payload: what follows is the next request.
      const header = session.encode({ type: Cmd.write, offset: at, lengthBytes: 512 });
      header.bytes.writeUInt16BE(0, 4);
      session.bytes.send(header.bytes);
      const answer = await session.answer(header.cookie).catch(() => undefined);
      if (answer !== undefined) {
        t.equal(answer.error, Errno.EINVAL);
        t.ok((await session.read(at, 512)).data.equals(before));
      } else {
        t.ok(session.bytes.closed);
      }
    },
    { skip: !has.extended && 'no extended headers' },
  );
}

function zero(t: Test, subject: Subject): void {
  const { file, has } = subject;
  const dirty = async (session: Session, at: number): Promise<Buffer> => {
    const bytes = pattern(64 * kibibyte, at);
    await session.write(at, bytes);
    return bytes;
  };

  ruleInEachMode(t, subject, 'WRITE_ZEROES makes zeros of its range and no other, with any flags', async (t, client, replies) => {
    const session = await client.file({ replies });
    t.ok(session.info.flags & Flag.sendWriteZeroes);
    for (const flags of [0, CmdFlag.noHole, CmdFlag.fua, CmdFlag.fua | CmdFlag.noHole]) {
      for (const [offset, lengthBytes] of [
        [0, 65536],
        [4096, 8192],
        [1, 10_000],
        [4000, 200],
        [511, 1],
      ] as const) {
        const at = region();
        const model = await dirty(session, at);
        t.equal((await session.do({ type: Cmd.writeZeroes, offset: at + offset, lengthBytes, flags })).error, 0);
        model.fill(0, offset, offset + lengthBytes);
        t.ok((await session.read(at, model.length)).data.equals(model), `${lengthBytes} bytes at ${offset} with flags ${flags}`);
      }
    }
  });

  ruleInEachMode(t, subject, 'FAST_ZERO zeroes, or is ENOTSUP and alters nothing', async (t, client, replies) => {
    const session = await client.file({ replies });
    for (const flags of [CmdFlag.fastZero, CmdFlag.fastZero | CmdFlag.noHole]) {
      for (const [offset, lengthBytes] of [
        [0, 65536],
        [1, 100],
      ] as const) {
        const at = region();
        const model = await dirty(session, at);
        const { error } = await session.do({ type: Cmd.writeZeroes, offset: at + offset, lengthBytes, flags });
        if (session.info.flags & Flag.sendFastZero) t.ok(error === 0 || error === Errno.ENOTSUP, `${error}`);
        else t.equal(error, Errno.EINVAL, 'it was not offered');
        if (error === 0) model.fill(0, offset, offset + lengthBytes);
        t.ok((await session.read(at, model.length)).data.equals(model));
      }
    }
  });

  ruleInEachMode(t, subject, 'WRITE_ZEROES beyond the end is ENOSPC, TRIM beyond the end EINVAL', async (t, client, replies) => {
    const session = await client.file({ replies });
    const size = file.sizeBytes;
    const beyond: [number | bigint, number][] = [
      [size, 1],
      [size - 1, 2],
      [2n ** 63n, 4096],
      [2n ** 64n - 1n, 0xffff_ffff],
    ];
    for (const [offset, lengthBytes] of beyond) {
      t.equal((await session.do({ type: Cmd.writeZeroes, offset, lengthBytes })).error, Errno.ENOSPC, `zeroes at ${offset}`);
      t.equal((await session.do({ type: Cmd.trim, offset, lengthBytes })).error, Errno.EINVAL, `trim at ${offset}`);
    }
  });

  ruleInEachMode(
    t,
    subject,
    'TRIM and WRITE_ZEROES of nothing, and of more than the maximum payload, do not disconnect',
    async (t, client, replies) => {
      const session = await client.file({ replies });
      for (const type of [Cmd.trim, Cmd.writeZeroes]) {
        const nothing = await session.do({ type, offset: 4096, lengthBytes: 0 });
        t.ok(nothing.error === 0 || nothing.error === Errno.EINVAL || nothing.error === Errno.ENOSPC, `${nothing.error}`);
      }
      // The last 6 MiB are beyond the regions of the other rules, which run one after the other anyway.
      const whole = await session.do({ type: Cmd.writeZeroes, offset: 0, lengthBytes: file.sizeBytes });
      t.ok(whole.error === 0 || whole.error === Errno.EOVERFLOW || whole.error === Errno.EINVAL, `${whole.error}`);
      const trimmed = await session.do({ type: Cmd.trim, offset: 0, lengthBytes: file.sizeBytes });
      t.ok(trimmed.error === 0 || trimmed.error === Errno.EOVERFLOW || trimmed.error === Errno.EINVAL, `${trimmed.error}`);
      t.equal((await session.read(0, 16)).error, 0);
    },
  );

  ruleInEachMode(t, subject, 'TRIM leaves its neighbours alone', async (t, client, replies) => {
    const session = await client.file({ replies });
    t.ok(session.info.flags & Flag.sendTrim);
    for (const flags of [0, CmdFlag.fua]) {
      const at = region();
      const model = await dirty(session, at);
      t.equal((await session.do({ type: Cmd.trim, offset: at + 5000, lengthBytes: 30_000, flags })).error, 0);
      const after = (await session.read(at, model.length)).data;
      t.ok(after.subarray(0, 5000).equals(model.subarray(0, 5000)));
      t.ok(after.subarray(35_000).equals(model.subarray(35_000)));
    }
  });

  ruleInEachMode(t, subject, 'flags that are not for TRIM and WRITE_ZEROES are EINVAL', async (t, client, replies) => {
    const session = await client.file({ replies });
    for (const flags of [CmdFlag.df, CmdFlag.reqOne, 1 << 7, 1 << 15]) {
      t.equal((await session.do({ type: Cmd.trim, lengthBytes: 512, flags })).error, Errno.EINVAL, `trim ${flags}`);
      t.equal((await session.do({ type: Cmd.writeZeroes, lengthBytes: 512, flags })).error, Errno.EINVAL, `zeroes ${flags}`);
    }
    for (const flags of [CmdFlag.noHole, CmdFlag.fastZero]) {
      t.equal((await session.do({ type: Cmd.trim, lengthBytes: 512, flags })).error, Errno.EINVAL, `trim ${flags}`);
    }
  });

  rule(
    t,
    subject,
    'effect lengths of 64 bits are beyond the end, not cut to 32',
    async (t, client) => {
      const at = region();
      const session = await client.file({ replies: 'extended' });
      const model = await dirty(session, at);
      for (const lengthBytes of [2n ** 32n, 2n ** 32n + 4096n, 2n ** 64n - 1n]) {
        t.equal((await session.do({ type: Cmd.writeZeroes, offset: at, lengthBytes })).error, Errno.ENOSPC);
        t.equal((await session.do({ type: Cmd.trim, offset: at, lengthBytes })).error, Errno.EINVAL);
      }
      t.ok((await session.read(at, model.length)).data.equals(model));
    },
    { skip: !has.extended && 'no extended headers' },
  );
}
