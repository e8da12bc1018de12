/** The stream of requests and replies: order, cuts, unknown things, slow peers, and the ways in which a connection ends. */
import type { Test } from 'tap';
import { rule, ruleInEachMode } from './rule.js';
import type { Subject } from './subject.js';
import { Cmd, CmdFlag, Errno, extendedRequestMagic, requestMagic } from './wire/constant.js';

export function message(t: Test, subject: Subject): void {
  const { image, file, has } = subject;
  const size = image.bytes.length;

  ruleInEachMode(t, subject, 'unknown commands are EINVAL and the connection goes on', async (t, client, replies) => {
    const session = await client.image({ replies });
    for (const type of [8, 9, 100, 0x7fff, 0xffff]) {
      t.equal((await session.do({ type, offset: 0, lengthBytes: 512 })).error, Errno.EINVAL, `command ${type}`);
    }
    t.ok((await session.read(0, 512)).data.equals(image.bytes.subarray(0, 512)));
  });

  for (const magic of [0, 0x12560953, 0x25609514, 0x67446698, 0xffff_ffff]) {
    ruleInEachMode(
      t,
      subject,
      `an unknown request magic ends the connection and no other: 0x${magic.toString(16)}`,
      async (t, client, replies) => {
        const bystander = await client.image({ replies });
        const session = await client.image({ replies });
        session.send({ type: Cmd.read, lengthBytes: 512, magic });
        t.equal((await session.bytes.rest('end of the connection')).length, 0, 'nothing is answered');
        t.equal((await bystander.read(0, 512)).error, 0);
      },
    );
  }

  ruleInEachMode(t, subject, "the other header's magic ends the connection", async (t, client, replies) => {
    const session = await client.image({ replies });
    session.bytes.send(
      session.encode({ type: Cmd.read, lengthBytes: 512, magic: replies === 'extended' ? requestMagic : extendedRequestMagic }).bytes,
    );
    session.bytes.send(Buffer.alloc(8));
    t.equal((await session.bytes.rest('end of the connection')).length, 0);
  });

  ruleInEachMode(
    t,
    subject,
    'the payload flag is unknown to compact requests',
    async (t, client, replies) => {
      const session = await client.file({ replies });
      t.equal((await session.read(0, 512, CmdFlag.payloadLen)).error, Errno.EINVAL, 'no payload is waited for');
      t.equal((await session.write(0, Buffer.alloc(512), CmdFlag.payloadLen)).error, Errno.EINVAL, "a write's payload is consumed");
      t.equal((await session.read(0, 512)).error, 0);
    },
    { only: ['simple', 'structured'] },
  );

  rule(
    t,
    subject,
    'with extended headers an unexpected payload is consumed and refused, too long a one ends the connection',
    async (t, client) => {
      const session = await client.file({ replies: 'extended' });
      for (const type of [Cmd.read, Cmd.trim, Cmd.writeZeroes, Cmd.cache, Cmd.flush, 77]) {
        const payload = Buffer.alloc(type === Cmd.read ? 70_000 : 24, 0x42);
        t.equal((await session.do({ type, flags: CmdFlag.payloadLen, payload })).error, Errno.EINVAL, `command ${type}`);
      }
      t.equal((await session.read(0, 512)).error, 0);
      session.send({ type: Cmd.read, flags: CmdFlag.payloadLen, lengthBytes: 2n ** 40n });
      t.equal((await session.bytes.rest('end of the connection')).length, 0);
    },
    { skip: !has.extended && 'no extended headers' },
  );

  ruleInEachMode(t, subject, 'cookies are opaque', async (t, client, replies) => {
    const session = await client.image({ replies });
    for (const cookie of [0n, 1n, 2n ** 32n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n]) {
      t.equal((await session.do({ type: Cmd.read, lengthBytes: 16, cookie })).error, 0);
    }
  });

  ruleInEachMode(t, subject, 'many requests in one segment are all answered', async (t, client, replies) => {
    const session = await client.image({ replies });
    const requests = Array.from({ length: 500 }, (_, index) => {
      const offset = (index * 7919) % (size - 4096);
      const lengthBytes = 1 + ((index * 131) % 4096);
      return { offset, lengthBytes, ...session.encode({ type: Cmd.read, offset, lengthBytes }) };
    });
    session.bytes.send(...requests.map(({ bytes }) => bytes));
    for (const { offset, lengthBytes, cookie } of requests) {
      const answer = await session.answer(cookie);
      t.ok(answer.error === 0 && answer.data.equals(image.bytes.subarray(offset, offset + lengthBytes)), `${lengthBytes} at ${offset}`);
    }
  });

  ruleInEachMode(t, subject, 'good and bad requests in one segment keep their answers apart', async (t, client, replies) => {
    const session = await client.file({ replies });
    const requests = [
      { request: { type: Cmd.read, lengthBytes: 512 }, error: 0 },
      { request: { type: Cmd.write, offset: file.sizeBytes, payload: Buffer.alloc(3000, 0x25) }, error: Errno.ENOSPC },
      { request: { type: 99 }, error: Errno.EINVAL },
      { request: { type: Cmd.flush }, error: 0 },
      { request: { type: Cmd.read, offset: file.sizeBytes, lengthBytes: 1 }, error: Errno.EINVAL },
      { request: { type: Cmd.write, offset: 0, payload: Buffer.alloc(0) }, error: undefined },
      { request: { type: Cmd.read, offset: 100, lengthBytes: 1000 }, error: 0 },
    ].map(({ request, error }) => ({ error, ...session.encode(request) }));
    session.bytes.send(...requests.map(({ bytes }) => bytes));
    for (const { cookie, error } of requests) {
      const answer = await session.answer(cookie);
      if (error !== undefined) t.equal(answer.error, error);
    }
  });

  ruleInEachMode(t, subject, 'requests may be cut at every byte', async (t, client, replies) => {
    const session = await client.image({ replies });
    const first = session.encode({ type: Cmd.read, offset: 5, lengthBytes: 300 });
    const rest = session.encode({ type: Cmd.read, offset: 900, lengthBytes: 300 });
    const both = Buffer.concat([first.bytes, rest.bytes]);
    for (const byte of both) {
      await session.bytes.sendAll(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    t.ok((await session.answer(first.cookie)).data.equals(image.bytes.subarray(5, 305)));
    t.ok((await session.answer(rest.cookie)).data.equals(image.bytes.subarray(900, 1200)));
    for (let cut = 1; cut < both.length; cut += 1) {
      const a = session.encode({ type: Cmd.read, offset: cut, lengthBytes: 300 });
      const b = session.encode({ type: Cmd.read, offset: 2 * cut, lengthBytes: 300 });
      const bytes = Buffer.concat([a.bytes, b.bytes]);
      await session.bytes.sendAll(bytes.subarray(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      await session.bytes.sendAll(bytes.subarray(cut));
      t.ok((await session.answer(a.cookie)).data.equals(image.bytes.subarray(cut, cut + 300)), `cut at ${cut}`);
      t.ok((await session.answer(b.cookie)).data.equals(image.bytes.subarray(2 * cut, 2 * cut + 300)));
    }
  });

  ruleInEachMode(t, subject, 'a client that reads slowly gets everything, and holds up nobody', async (t, client, replies) => {
    const session = await client.image({ replies });
    session.bytes.pause();
    const requests = Array.from({ length: 200 }, (_, index) => {
      const offset = (index * 13_007) % (size - 262_144);
      return { offset, ...session.encode({ type: Cmd.read, offset, lengthBytes: 262_144 }) };
    });
    session.bytes.send(...requests.map(({ bytes }) => bytes));
    const bystander = await client.image({ replies });
    for (let round = 0; round < 50; round += 1) t.equal((await bystander.read(round * 4096, 4096)).error, 0);
    session.bytes.resume();
    for (const { offset, cookie } of requests) {
      const answer = await session.answer(cookie);
      t.ok(answer.error === 0 && answer.data.equals(image.bytes.subarray(offset, offset + 262_144)), `at ${offset}`);
    }
  });

  ruleInEachMode(t, subject, 'a client that never reads can leave, and nobody minds', async (t, client, replies) => {
    const bystander = await client.image({ replies });
    for (let round = 0; round < 5; round += 1) {
      const session = await client.image({ replies });
      session.bytes.pause();
      for (let index = 0; index < 100; index += 1) session.send({ type: Cmd.read, offset: 0, lengthBytes: 1_000_000 });
      await session.bytes.sendAll(Buffer.alloc(0));
      session.bytes.destroy();
    }
    t.equal((await bystander.read(0, 4096)).error, 0);
  });

  ruleInEachMode(t, subject, 'DISC closes without a reply', async (t, client, replies) => {
    const session = await client.image({ replies });
    t.equal((await session.read(0, 16)).error, 0);
    t.equal((await session.disconnect()).length, 0);
  });

  ruleInEachMode(t, subject, 'DISC with requests in flight is obeyed after they are handled', async (t, client, replies) => {
    const session = await client.file({ replies });
    const at = 36 * 1024 * 1024;
    const requests = Array.from({ length: 100 }, (_, index) =>
      session.encode({ type: Cmd.write, offset: at + index * 512, payload: Buffer.alloc(512, index + 1) }),
    );
    const last = session.encode({ type: Cmd.read, offset: 0, lengthBytes: 100_000 });
    const disc = session.encode({ type: Cmd.disc });
    session.bytes.send(...requests.map(({ bytes }) => bytes), last.bytes, disc.bytes);
    for (const { cookie } of [...requests, last]) t.equal((await session.answer(cookie)).error, 0);
    t.equal((await session.bytes.rest('end of the connection')).length, 0);
    const after = (await (await client.file()).read(at, 51_200)).data;
    t.ok(requests.every((_, index) => after.subarray(index * 512, (index + 1) * 512).every((byte) => byte === index + 1)));
  });

  ruleInEachMode(t, subject, 'requests behind a DISC are not obeyed', async (t, client, replies) => {
    const session = await client.file({ replies });
    const at = 37 * 1024 * 1024;
    const disc = session.encode({ type: Cmd.disc });
    const late = session.encode({ type: Cmd.write, offset: at, payload: Buffer.alloc(512, 0xee) });
    session.bytes.send(disc.bytes, late.bytes);
    t.equal((await session.bytes.rest('end of the connection')).length, 0);
    t.ok((await (await client.file()).read(at, 512)).data.every((byte) => byte === 0));
  });

  ruleInEachMode(t, subject, 'a client that closes its side gets its answers, then the end', async (t, client, replies) => {
    const session = await client.image({ replies });
    const requests = Array.from({ length: 50 }, (_, index) =>
      session.encode({ type: Cmd.read, offset: index * 4096, lengthBytes: 20_000 }),
    );
    session.bytes.send(...requests.map(({ bytes }) => bytes));
    session.bytes.stream.end();
    for (const { cookie } of requests) t.equal((await session.answer(cookie)).error, 0);
    t.equal((await session.bytes.rest('end of the connection')).length, 0);
  });

  ruleInEachMode(t, subject, 'a request cut short by the end of the stream is dropped', async (t, client, replies) => {
    for (const cut of [1, 4, 16, 27]) {
      const session = await client.image({ replies });
      const whole = session.encode({ type: Cmd.read, offset: 1, lengthBytes: 99 });
      session.bytes.send(whole.bytes, session.encode({ type: Cmd.read, lengthBytes: 99 }).bytes.subarray(0, cut));
      session.bytes.stream.end();
      t.ok((await session.answer(whole.cookie)).data.equals(image.bytes.subarray(1, 100)));
      t.equal((await session.bytes.rest('end of the connection')).length, 0);
    }
  });

  rule(t, subject, 'requests may ride behind GO before it is answered', async (t, client) => {
    const { Handshake, infoData, optionBytes } = await import('./wire/handshake.js');
    const { Option, Rep } = await import('./wire/constant.js');
    const handshake = await Handshake.start(await client.connect());
    const early = handshake.session({ sizeBytes: BigInt(size), flags: 0 }, 'simple');
    const request = early.encode({ type: Cmd.read, offset: 77, lengthBytes: 1000 });
    handshake.bytes.send(optionBytes(Option.go, infoData(image.name)), request.bytes);
    t.equal((await handshake.replies(Option.go)).at(-1)?.type, Rep.ack);
    t.ok((await early.answer(request.cookie)).data.equals(image.bytes.subarray(77, 1077)));
  });
}
