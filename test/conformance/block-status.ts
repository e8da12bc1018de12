/** NBD_CMD_BLOCK_STATUS and NBD_CMD_CACHE. */
import type { Test } from 'tap';
import { rule, ruleInEachMode } from './rule.js';
import type { Subject } from './subject.js';
import { Cmd, CmdFlag, Errno, Flag, State } from './wire/constant.js';
import type { Session } from './wire/session.js';

/** Flags of each byte range of a context, asked for until the end, as a client would. */
async function map(session: Session, context: string, flags = 0): Promise<{ start: number; end: number; flags: number }[]> {
  const size = Number(session.info.sizeBytes);
  const extents: { start: number; end: number; flags: number }[] = [];
  for (let at = 0; at < size; ) {
    const answer = await session.status(at, size - at, flags);
    if (answer.error !== 0) throw new Error(`block status at ${at}: error ${answer.error}`);
    for (const extent of answer.status.get(session.contextId(context)) ?? []) {
      extents.push({ start: at, end: at + Number(extent.lengthBytes), flags: Number(extent.flags) });
      at += Number(extent.lengthBytes);
    }
  }
  return extents;
}

export function blockStatus(t: Test, subject: Subject): void {
  const { image, has } = subject;
  const size = image.bytes.length;
  const structured = { only: ['structured', 'extended'] as ('structured' | 'extended')[] };

  ruleInEachMode(t, subject, 'BLOCK_STATUS without a context is EINVAL', async (t, client, replies) => {
    const session = await client.image({ replies });
    t.equal((await session.status(0, 4096)).error, Errno.EINVAL);
    t.equal((await session.read(0, 16)).error, 0);
  });

  ruleInEachMode(
    t,
    subject,
    'base:allocation covers the export, and what it calls zero reads as zeros',
    async (t, client, replies) => {
      for (const flags of [0, CmdFlag.reqOne]) {
        const session = await client.image({ replies, contexts: ['base:allocation'] });
        const extents = await map(session, 'base:allocation', flags);
        t.equal(extents.at(-1)?.end, size);
        for (const extent of extents) {
          t.equal(extent.flags & ~(State.hole | State.zero), 0, 'reserved flags are zero');
          if (extent.flags & State.zero) t.ok(image.bytes.subarray(extent.start, extent.end).every((byte) => byte === 0));
        }
        if (has.holes) {
          const zeros = extents.filter((extent) => extent.flags & State.zero).reduce((sum, { start, end }) => sum + end - start, 0);
          t.ok(zeros >= (image.holeEnd - image.holeStart) / 2, `${zeros} bytes are known to be zeros`);
        }
      }
    },
    structured,
  );

  ruleInEachMode(
    t,
    subject,
    'consecutive extents differ and are multiples of 512 bytes but at the end',
    async (t, client, replies) => {
      const session = await client.image({ replies, contexts: ['base:allocation'] });
      const extents = (await session.status(0, size)).status.get(session.contextId('base:allocation')) ?? [];
      let end = 0n;
      extents.forEach((extent, index) => {
        end += extent.lengthBytes;
        if (index > 0) t.not(extent.flags, extents[index - 1]?.flags, 'adjacent extents differ');
        t.ok(end % 512n === 0n || end === BigInt(size), `an extent ends at ${end}`);
      });
    },
    structured,
  );

  ruleInEachMode(
    t,
    subject,
    'BLOCK_STATUS at odd places, with REQ_ONE and FUA',
    async (t, client, replies) => {
      const session = await client.file({ replies, contexts: ['base:allocation'] });
      for (const [offset, lengthBytes] of [
        [0, 1],
        [1, 511],
        [4097, 100_000],
        [Number(session.info.sizeBytes) - 1, 1],
      ] as const) {
        for (const flags of [0, CmdFlag.reqOne, CmdFlag.fua | CmdFlag.reqOne]) {
          t.equal((await session.status(offset, lengthBytes, flags)).error, 0, `${lengthBytes} at ${offset} with ${flags}`);
        }
      }
    },
    structured,
  );

  ruleInEachMode(
    t,
    subject,
    'BLOCK_STATUS beyond the end is EINVAL, of nothing it does not disconnect, foreign flags are EINVAL',
    async (t, client, replies) => {
      const session = await client.image({ replies, contexts: ['base:allocation'] });
      for (const [offset, lengthBytes] of [
        [BigInt(size), 1],
        [BigInt(size - 1), 2],
        [2n ** 63n, 512],
        [2n ** 64n - 1n, 0xffff_ffff],
      ] as const) {
        t.equal((await session.do({ type: Cmd.blockStatus, offset, lengthBytes })).error, Errno.EINVAL, `${offset}`);
      }
      const nothing = session.send({ type: Cmd.blockStatus, offset: 0, lengthBytes: 0 });
      const { error } = await session.answer(nothing);
      t.equal(error, Errno.EINVAL, 'an answer would need an extent, and an extent a length');
      for (const flags of [CmdFlag.noHole, CmdFlag.df, CmdFlag.fastZero, 1 << 8]) {
        t.equal((await session.status(0, 512, flags)).error, Errno.EINVAL, `flags ${flags}`);
      }
      t.equal((await session.status(0, 512)).error, 0);
    },
    structured,
  );

  ruleInEachMode(
    t,
    subject,
    'a map of thousands of extents is told piece by piece, and right',
    async (t, client, replies) => {
      const session = await client.file({ replies, contexts: ['base:allocation'] });
      const size = Number(session.info.sizeBytes);
      const strideBytes = 8192;
      t.equal((await session.do({ type: Cmd.trim, lengthBytes: size })).error, 0);
      const cookies: bigint[] = [];
      for (let offset = 0; offset < size; offset += strideBytes) {
        cookies.push(session.send({ type: Cmd.write, offset, payload: Buffer.alloc(512, 0x55) }));
        if (cookies.length >= 64) await session.answer(cookies.shift() ?? 0n);
      }
      for (const cookie of cookies) await session.answer(cookie);
      const extents = await map(session, 'base:allocation');
      t.equal(extents.at(-1)?.end, size);
      const wrong = extents.filter(({ start, end, flags }) => {
        const nextWrite = Math.ceil(start / strideBytes) * strideBytes;
        return (flags & State.zero) !== 0 && (nextWrite < end || start % strideBytes < 512);
      });
      t.same(wrong, [], 'nothing that was written is called zero');
      if (has.holes) t.ok(extents.length > size / strideBytes, `${extents.length} extents`);
      t.equal((await session.do({ type: Cmd.trim, lengthBytes: size })).error, 0);
    },
    structured,
  );

  rule(
    t,
    subject,
    'with extended headers a hint of 64 bits beyond the end is EINVAL',
    async (t, client) => {
      const session = await client.image({ replies: 'extended', contexts: ['base:allocation'] });
      for (const lengthBytes of [2n ** 32n, 2n ** 64n - 1n]) {
        t.equal((await session.do({ type: Cmd.blockStatus, lengthBytes })).error, Errno.EINVAL);
      }
    },
    { skip: !has.extended && 'no extended headers' },
  );

  rule(
    t,
    subject,
    'a BLOCK_STATUS payload is consumed and refused where it was not offered',
    async (t, client) => {
      const session = await client.image({ replies: 'extended', contexts: ['base:allocation'] });
      if (session.info.flags & Flag.blockStatusPayload) return;
      const payload = Buffer.alloc(12);
      payload.writeBigUInt64BE(4096n);
      t.equal((await session.do({ type: Cmd.blockStatus, flags: CmdFlag.payloadLen, payload })).error, Errno.EINVAL);
      t.equal((await session.status(0, 4096)).error, 0);
    },
    { skip: !has.extended && 'no extended headers' },
  );

  ruleInEachMode(t, subject, 'CACHE is answered as its transmission flag says, and changes nothing', async (t, client, replies) => {
    const session = await client.image({ replies });
    const { error } = await session.do({ type: Cmd.cache, lengthBytes: 65536 });
    if (session.info.flags & Flag.sendCache) {
      t.equal(error, 0);
      t.equal((await session.do({ type: Cmd.cache, offset: size - 1, lengthBytes: 1 })).error, 0);
      for (const flags of [CmdFlag.df, CmdFlag.noHole, 1 << 9]) {
        t.equal((await session.do({ type: Cmd.cache, lengthBytes: 512, flags })).error, Errno.EINVAL, `flags ${flags}`);
      }
      for (const offset of [BigInt(size), 2n ** 64n - 1n]) {
        t.equal((await session.do({ type: Cmd.cache, offset, lengthBytes: 512 })).error, Errno.EINVAL, `${offset}`);
      }
    } else {
      t.ok(error === 0 || error === Errno.EINVAL);
    }
    const nothing = (await session.do({ type: Cmd.cache, lengthBytes: 0 })).error;
    t.ok(nothing === 0 || nothing === Errno.EINVAL);
    t.ok((await session.read(0, 65536)).data.equals(image.bytes.subarray(0, 65536)));
  });

  ruleInEachMode(
    t,
    subject,
    'x-copse:cached covers the export beside base:allocation',
    async (t, client, replies) => {
      const session = await client.image({ replies, contexts: ['base:allocation', 'x-copse:cached'] });
      t.equal((await session.status(0, size)).status.size, 2, 'one chunk a context');
      t.equal((await session.status(4096, 4096, CmdFlag.reqOne)).status.size, 2);
      for (const context of ['base:allocation', 'x-copse:cached']) t.equal((await map(session, context)).at(-1)?.end, size, context);
    },
    { ...structured, skip: !has.cachedContext && 'no x-copse:cached' },
  );
}
