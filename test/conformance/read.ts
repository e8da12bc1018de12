/** NBD_CMD_READ, in each form of reply. */
import type { Test } from 'tap';
import { rule, ruleInEachMode } from './rule.js';
import type { Subject } from './subject.js';
import { Cmd, CmdFlag, Errno, Flag } from './wire/constant.js';

export function read(t: Test, subject: Subject): void {
  const { image, has } = subject;
  const size = image.bytes.length;
  const slice = (offset: number, lengthBytes: number): Buffer => image.bytes.subarray(offset, offset + lengthBytes);

  ruleInEachMode(t, subject, 'a read gives what is there, at any offset and length', async (t, client, replies) => {
    const session = await client.image({ replies });
    const ranges: [number, number][] = [
      [0, 1],
      [0, 512],
      [1, 4095],
      [511, 2],
      [4096, 65536],
      [65535, 65538],
      [image.holeStart - 1, 2],
      [image.holeStart, 4096],
      [image.holeStart - 5000, 10_000],
      [image.holeEnd - 300, 301],
      [image.holeStart - 100, image.holeEnd - image.holeStart + 200],
      [size - 1, 1],
      [size - 777, 777],
      [size - 100_000, 100_000],
      [0, size],
    ];
    for (const [offset, lengthBytes] of ranges) {
      const answer = await session.read(offset, lengthBytes);
      t.equal(answer.error, 0);
      t.ok(answer.data.equals(slice(offset, lengthBytes)), `${lengthBytes} bytes at ${offset}`);
    }
  });

  ruleInEachMode(t, subject, 'a read beyond the end is EINVAL and the connection goes on', async (t, client, replies) => {
    const session = await client.image({ replies });
    const beyond: [number | bigint, number][] = [
      [size, 1],
      [size - 1, 2],
      [size - 777, 778],
      [0, size + 1],
      [size + 4096, 512],
      [2n ** 32n, 512],
      [2n ** 53n, 512],
      [2n ** 63n - 1n, 1],
      [2n ** 63n, 512],
      [2n ** 64n - 512n, 512],
      [2n ** 64n - 512n, 1024],
      [2n ** 64n - 1n, 0xffff_ffff],
    ];
    for (const [offset, lengthBytes] of beyond) {
      t.equal((await session.read(offset, lengthBytes)).error, Errno.EINVAL, `${lengthBytes} bytes at ${offset}`);
    }
    t.ok((await session.read(0, 100)).data.equals(slice(0, 100)));
  });

  ruleInEachMode(t, subject, 'a read of nothing does not disconnect', async (t, client, replies) => {
    const session = await client.image({ replies });
    for (const offset of [0, 1, size - 1, size]) {
      const { error } = await session.read(offset, 0);
      t.ok(error === 0 || error === Errno.EINVAL, `${error}`);
    }
    t.ok((await session.read(3, 100)).data.equals(slice(3, 100)));
  });

  ruleInEachMode(t, subject, 'a read of the maximum payload works, one of more is answered or refused', async (t, client, replies) => {
    const session = await client.file({ replies });
    const announcedBytes = session.info.blockSize?.maximumBytes;
    const maximumBytes = announcedBytes ?? 2 ** 25;
    t.ok(maximumBytes >= 2 ** 25);
    const whole = await session.read(4096, 2 ** 25);
    t.equal(whole.error, 0);
    const more = await session.read(0, maximumBytes + 1);
    t.ok(
      more.error === Errno.EINVAL ||
        more.error === Errno.EOVERFLOW ||
        (more.error === 0 && (replies !== 'simple' || announcedBytes === undefined)),
      `${more.error}`,
    );
    t.equal((await session.read(0, 16)).error, 0);
  });

  ruleInEachMode(t, subject, 'flags that are unknown or not for reads are EINVAL', async (t, client, replies) => {
    const session = await client.image({ replies });
    const foreign = [CmdFlag.noHole, CmdFlag.reqOne, CmdFlag.fastZero, 1 << 6, 1 << 10, 1 << 15];
    for (const flags of foreign) t.equal((await session.read(0, 512, flags)).error, Errno.EINVAL, `flags ${flags}`);
    t.ok((await session.read(0, 512)).data.equals(slice(0, 512)));
  });

  ruleInEachMode(t, subject, 'FUA is accepted on a read where FUA is offered', async (t, client, replies) => {
    const session = await client.file({ replies });
    t.ok(session.info.flags & Flag.sendFua, 'the file offers FUA');
    t.equal((await session.read(0, 512, CmdFlag.fua)).error, 0);
  });

  rule(t, subject, 'DF is EINVAL where it was not offered', async (t, client) => {
    const session = await client.image({ replies: 'simple' });
    t.equal((await session.read(0, 512, CmdFlag.df)).error, Errno.EINVAL);
    t.ok((await session.read(0, 512)).data.equals(slice(0, 512)));
  });

  ruleInEachMode(
    t,
    subject,
    'DF gives one content chunk, zeroes and all',
    async (t, client, replies) => {
      const session = await client.image({ replies });
      const ranges: [number, number][] = [
        [0, 65536],
        [image.holeStart - 32768, 65536],
        [image.holeEnd - 1, 65536],
        [size - 65536, 65536],
      ];
      for (const [offset, lengthBytes] of ranges) {
        const answer = await session.read(offset, lengthBytes, CmdFlag.df);
        t.equal(answer.error, 0, 'reads up to 64 KiB must be possible unfragmented');
        t.equal(answer.dataChunks + answer.holeChunks, 1);
        t.ok(answer.data.equals(slice(offset, lengthBytes)), `${lengthBytes} bytes at ${offset}`);
      }
      const across = await session.read(image.holeStart - 1, 2, CmdFlag.df);
      t.equal(across.holeChunks, 0, 'data and a hole together are data');
      const large = await session.read(0, size, CmdFlag.df);
      t.ok(
        large.error === 0 || (large.error === Errno.EOVERFLOW && large.coveredBytes === 0),
        'a large one is whole or EOVERFLOW with no content',
      );
    },
    { only: ['structured', 'extended'] },
  );

  ruleInEachMode(
    t,
    subject,
    'a hole is answered as a hole',
    async (t, client, replies) => {
      const session = await client.image({ replies });
      const answer = await session.read(image.holeStart, image.holeEnd - image.holeStart);
      t.ok(answer.holeChunks > 0, 'a megabyte of zeros is not sent');
      t.ok(answer.data.equals(slice(image.holeStart, image.holeEnd - image.holeStart)));
    },
    { only: ['structured', 'extended'], skip: !has.holes && 'the server sends zeros as data' },
  );

  rule(
    t,
    subject,
    'an effect length of 64 bits is refused, not cut to 32',
    async (t, client) => {
      const session = await client.image({ replies: 'extended' });
      for (const lengthBytes of [2n ** 32n, 2n ** 32n + 512n, 2n ** 63n, 2n ** 64n - 1n]) {
        const { error } = await session.do({ type: Cmd.read, lengthBytes });
        t.ok(error === Errno.EINVAL || error === Errno.EOVERFLOW, `${error}`);
      }
      t.ok((await session.read(0, 512)).data.equals(slice(0, 512)));
    },
    { skip: !has.extended && 'no extended headers' },
  );
}
