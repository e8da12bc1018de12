/** Section "Option types": every option but the metadata contexts, granted and refused. */
import type { Test } from 'tap';
import { rule } from './rule.js';
import type { Client, Subject } from './subject.js';
import { Cmd, Flag, Info, Option, Rep } from './wire/constant.js';
import { counted, Handshake, infoData, u16, u32 } from './wire/handshake.js';

const start = async (client: Client, flags?: number): Promise<Handshake> => await Handshake.start(await client.connect(), flags);

export function option(t: Test, subject: Subject): void {
  const { image, file, has } = subject;

  rule(t, subject, 'EXPORT_NAME without NO_ZEROES answers size, flags and 124 zeroes', async (t, client) => {
    const handshake = await start(client, 1);
    handshake.send(Option.exportName, Buffer.from(image.name));
    const reply = await handshake.bytes.take(134, 'reply to EXPORT_NAME');
    const info = { sizeBytes: reply.readBigUInt64BE(0), flags: reply.readUInt16BE(8) };
    t.equal(info.sizeBytes, BigInt(image.bytes.length));
    t.ok(info.flags & Flag.hasFlags);
    t.notOk(info.flags & Flag.sendDf, 'DF is not offered without structured replies');
    t.ok(reply.subarray(10).equals(Buffer.alloc(124)));
    t.ok((await handshake.session(info, 'simple').read(0, 512)).data.equals(image.bytes.subarray(0, 512)));
  });

  rule(t, subject, 'EXPORT_NAME with NO_ZEROES answers ten bytes', async (t, client) => {
    const handshake = await start(client, 3);
    handshake.send(Option.exportName, Buffer.from(image.name));
    const reply = await handshake.bytes.take(10, 'reply to EXPORT_NAME');
    const session = handshake.session({ sizeBytes: reply.readBigUInt64BE(0), flags: reply.readUInt16BE(8) }, 'simple');
    t.ok((await session.read(513, 1000)).data.equals(image.bytes.subarray(513, 1513)), 'the next byte is a reply');
  });

  rule(t, subject, 'EXPORT_NAME after STRUCTURED_REPLY enters with structured replies', async (t, client) => {
    const handshake = await start(client, 3);
    await handshake.ask(Option.structuredReply);
    handshake.send(Option.exportName, Buffer.from(image.name));
    const reply = await handshake.bytes.take(10, 'reply to EXPORT_NAME');
    const session = handshake.session({ sizeBytes: reply.readBigUInt64BE(0), flags: reply.readUInt16BE(8) }, 'structured');
    t.ok(session.info.flags & Flag.sendDf);
    t.ok((await session.read(0, 1000)).data.equals(image.bytes.subarray(0, 1000)));
  });

  for (const name of ['no such export', 'n'.repeat(4097), 'e'.repeat(100_000)]) {
    rule(t, subject, `EXPORT_NAME of what does not exist ends the session (${name.length} bytes)`, async (t, client) => {
      const handshake = await start(client);
      handshake.send(Option.exportName, Buffer.from(name));
      t.equal((await handshake.bytes.rest('end of the connection')).length, 0);
    });
  }

  for (const data of [Buffer.alloc(0), Buffer.from('good bye')]) {
    rule(t, subject, `ABORT is acknowledged, whatever data comes with it (${data.length} bytes)`, async (t, client) => {
      const handshake = await start(client);
      t.equal(await handshake.verdict(Option.abort, data), Rep.ack);
      t.equal((await handshake.bytes.rest('end of the connection after ABORT')).length, 0);
    });
  }

  rule(t, subject, 'ABORT by a client that does not wait for the answer harms nobody', async (t, client) => {
    const bystander = await client.image();
    for (let round = 0; round < 10; round += 1) {
      const handshake = await start(client);
      handshake.send(Option.abort);
      handshake.bytes.destroy();
    }
    t.equal((await bystander.read(0, 512)).error, 0);
  });

  rule(t, subject, 'LIST names every export, then acknowledges', async (t, client) => {
    const handshake = await start(client);
    const replies = await handshake.ask(Option.list);
    t.equal(replies.at(-1)?.type, Rep.ack);
    const listed = new Map<string, string>();
    for (const { type, data } of replies.slice(0, -1)) {
      t.equal(type, Rep.server);
      const nameBytes = data.readUInt32BE(0);
      t.ok(nameBytes <= data.length - 4);
      listed.set(data.toString('utf8', 4, 4 + nameBytes), data.toString('utf8', 4 + nameBytes));
    }
    for (const { name, description } of [image, file]) {
      t.ok(listed.has(name), `${name} is listed`);
      if (description !== undefined) t.equal(listed.get(name), description);
    }
  });

  rule(t, subject, 'options that carry no data refuse data with ERR_INVALID and go on', async (t, client) => {
    const handshake = await start(client);
    t.equal(await handshake.verdict(Option.list, Buffer.from('data')), Rep.errInvalid, 'LIST');
    t.equal(await handshake.verdict(Option.structuredReply, Buffer.from('data')), Rep.errInvalid, 'STRUCTURED_REPLY');
    if (has.extended) t.equal(await handshake.verdict(Option.extendedHeaders, Buffer.from('data')), Rep.errInvalid, 'EXTENDED_HEADERS');
    const { type, info } = await handshake.info(Option.go, image.name);
    t.equal(type, Rep.ack);
    t.notOk((info?.flags ?? 0) & Flag.sendDf, 'what was refused is not in force');
  });

  for (const unknown of [0, Option.peekExport, 12, 4711, 0xffff_ffff]) {
    rule(t, subject, `unknown option ${unknown} is unsupported, and the next one is understood`, async (t, client) => {
      const handshake = await start(client);
      t.equal(await handshake.verdict(unknown), Rep.errUnsup);
      t.equal(await handshake.verdict(unknown, Buffer.alloc(1000, 0x5a)), Rep.errUnsup, 'its data are skipped');
      t.equal(await handshake.verdict(Option.list), Rep.ack);
    });
  }

  rule(t, subject, 'STARTTLS is refused where there is no TLS, and TLS_REQD is not said', async (t, client) => {
    const handshake = await start(client);
    const verdict = await handshake.verdict(Option.startTls);
    t.ok(verdict === Rep.errUnsup || verdict === Rep.errPolicy, `${verdict}`);
    t.equal(await handshake.verdict(Option.list), Rep.ack);
  });

  rule(t, subject, 'INFO and GO of an unknown export say ERR_UNKNOWN with no information before it', async (t, client) => {
    const handshake = await start(client);
    for (const option of [Option.info, Option.go]) {
      const replies = await handshake.ask(option, infoData('no such export', [Info.name, Info.blockSize]));
      t.same(
        replies.map(({ type }) => type),
        [Rep.errUnknown],
      );
    }
    t.equal((await handshake.info(Option.go, image.name)).type, Rep.ack, 'and the client may try another');
  });

  rule(t, subject, 'INFO tells what GO tells', async (t, client) => {
    const handshake = await start(client);
    const requests = [Info.name, Info.description, Info.blockSize];
    const before = await handshake.info(Option.info, image.name, requests);
    const after = await handshake.info(Option.go, image.name, requests);
    t.equal(before.type, Rep.ack);
    t.same(after, before);
    t.equal(after.info?.sizeBytes, BigInt(image.bytes.length));
    t.ok((after.info?.flags ?? 0) & Flag.readOnly);
    if (after.info?.name !== undefined) t.equal(after.info.name, image.name);
    if (image.description !== undefined) t.equal(after.info?.description, image.description);
    t.ok(
      (await handshake.session(after.info ?? { sizeBytes: 0n, flags: 0 }, 'simple').read(0, 16)).error === 0,
      'no zero padding behind the ACK of GO',
    );
  });

  rule(t, subject, 'block sizes keep to the rules for them', async (t, client) => {
    for (const name of [image.name, file.name]) {
      const handshake = await start(client);
      const { info } = await handshake.info(Option.info, name, [Info.blockSize]);
      const size = info?.blockSize;
      t.ok(size, 'NBD_INFO_BLOCK_SIZE is sent when it is asked for');
      if (size === undefined) continue;
      const isPowerOfTwo = (value: number): boolean => value > 0 && (value & (value - 1)) === 0;
      t.ok(isPowerOfTwo(size.minimumBytes) && size.minimumBytes <= 65536, `minimum ${size.minimumBytes}`);
      t.ok(
        isPowerOfTwo(size.preferredBytes) && size.preferredBytes >= Math.max(512, size.minimumBytes),
        `preferred ${size.preferredBytes}`,
      );
      t.ok(size.maximumBytes >= size.preferredBytes && size.maximumBytes >= 2 ** 20, `maximum ${size.maximumBytes}`);
      t.equal(Number(info?.sizeBytes ?? 0n) % size.minimumBytes, 0, 'the size is a multiple of the minimum');
    }
  });

  rule(t, subject, 'a client that does not ask for block sizes is served all the same', async (t, client) => {
    t.equal((await (await client.image({ requests: [] })).read(1, 3)).error, 0);
  });

  rule(t, subject, 'unknown information requests are ignored', async (t, client) => {
    const handshake = await start(client);
    const { type, info } = await handshake.info(Option.info, image.name, [0x7777, Info.export, Info.blockSize, 0xffff]);
    t.equal(type, Rep.ack);
    t.ok(info?.blockSize);
  });

  rule(t, subject, 'DF is offered once replies are structured, and only then', async (t, client) => {
    for (const option of has.extended ? [Option.structuredReply, Option.extendedHeaders] : [Option.structuredReply]) {
      const handshake = await start(client);
      t.notOk(((await handshake.info(Option.info, image.name)).info?.flags ?? 0) & Flag.sendDf);
      t.equal(await handshake.verdict(option), Rep.ack);
      t.ok(((await handshake.info(Option.info, image.name)).info?.flags ?? 0) & Flag.sendDf);
    }
  });

  const name = counted(image.name);
  const malformed: [string, Buffer][] = [
    ['no data at all', Buffer.alloc(0)],
    ['half a length', Buffer.from([0, 0])],
    ['a length and nothing else', u32(4)],
    ['a name longer than the option', Buffer.concat([u32(0xffff_fff0), Buffer.from('x'), u16(0)])],
    ['a name that reaches into the request count', Buffer.concat([u32(image.name.length + 2), Buffer.from(image.name), u16(0)])],
    ['no count of requests', name],
    ['more requests counted than sent', Buffer.concat([name, u16(2), u16(Info.name)])],
    ['more requests sent than counted', Buffer.concat([name, u16(1), u16(Info.name), u16(Info.blockSize)])],
    ['a stray byte at the end', Buffer.concat([infoData(image.name), Buffer.from([0])])],
  ];
  for (const [what, data] of malformed) {
    rule(t, subject, `malformed INFO and GO are ERR_INVALID: ${what}`, async (t, client) => {
      const handshake = await start(client);
      t.equal(await handshake.verdict(Option.info, data), Rep.errInvalid);
      t.equal(await handshake.verdict(Option.go, data), Rep.errInvalid);
      t.equal((await handshake.info(Option.go, image.name)).type, Rep.ack);
    });
  }

  rule(t, subject, 'names over 4096 bytes are refused and negotiation goes on', async (t, client) => {
    const handshake = await start(client);
    for (const lengthBytes of [4097, 5000, 8000]) {
      const verdict = await handshake.verdict(Option.info, infoData('n'.repeat(lengthBytes)));
      t.ok(verdict === Rep.errInvalid || verdict === Rep.errTooBig, `${lengthBytes}: ${verdict.toString(16)}`);
    }
    t.equal(await handshake.verdict(Option.info, infoData('n'.repeat(4096))), Rep.errUnknown, '4096 bytes are a name');
    t.equal((await handshake.info(Option.go, image.name)).type, Rep.ack);
  });

  rule(t, subject, 'names that are not UTF-8 or hold a NUL are refused', async (t, client) => {
    const handshake = await start(client);
    for (const bad of [Buffer.from([0xff, 0xfe]), Buffer.from([0x61, 0, 0x62]), Buffer.from([0xc0, 0x80])]) {
      const verdict = await handshake.verdict(Option.info, Buffer.concat([counted(bad), u16(0)]));
      t.ok(verdict === Rep.errInvalid || verdict === Rep.errUnknown, verdict.toString(16));
    }
    t.equal((await handshake.info(Option.go, image.name)).type, Rep.ack);
  });

  rule(t, subject, 'an option too long is refused or the client dropped, never waited for without end', async (t, client) => {
    for (const lengthBytes of [20_000, 70_000]) {
      const handshake = await start(client);
      handshake.send(4711, Buffer.alloc(lengthBytes));
      const verdict = await handshake.replies(4711).catch(() => undefined);
      if (verdict === undefined) t.ok(handshake.bytes.closed, 'dropped');
      else t.equal(await handshake.verdict(Option.list), Rep.ack, 'the data were skipped');
    }
    const handshake = await start(client);
    handshake.send(Option.info, Buffer.alloc(100), 0xffff_ffff);
    const answer = await handshake.bytes.take(20, 'a refusal').catch(() => undefined);
    t.ok(answer !== undefined || handshake.bytes.closed, 'four gigabytes are refused before they come');
  });

  rule(t, subject, 'a hundred options on one connection', async (t, client) => {
    const handshake = await start(client);
    for (let round = 0; round < 50; round += 1) {
      t.equal(await handshake.verdict(Option.list), Rep.ack);
      t.equal((await handshake.info(Option.info, round % 2 === 0 ? image.name : file.name)).type, Rep.ack);
    }
  });

  rule(t, subject, 'STRUCTURED_REPLY asked twice is granted or invalid, and stays in force', async (t, client) => {
    const handshake = await start(client);
    t.equal(await handshake.verdict(Option.structuredReply), Rep.ack);
    const again = await handshake.verdict(Option.structuredReply);
    t.ok(again === Rep.ack || again === Rep.errInvalid);
    const { info } = await handshake.info(Option.go, image.name);
    t.ok(info);
    if (info) t.equal((await handshake.session(info, 'structured').do({ type: Cmd.read, lengthBytes: 100 })).error, 0);
  });

  const noExtended = !has.extended && 'no extended headers';
  rule(
    t,
    subject,
    'EXTENDED_HEADERS takes precedence, before and after STRUCTURED_REPLY',
    async (t, client) => {
      const late = await start(client);
      t.equal(await late.verdict(Option.structuredReply), Rep.ack);
      t.equal(await late.verdict(Option.extendedHeaders), Rep.ack);
      const early = await start(client);
      t.equal(await early.verdict(Option.extendedHeaders), Rep.ack);
      t.equal(await early.verdict(Option.structuredReply), Rep.errExtHeaderReqd, 'no way back to structured replies');
      for (const handshake of [late, early]) {
        const { info } = await handshake.info(Option.go, image.name);
        t.ok(info);
        if (info) t.equal((await handshake.session(info, 'extended').read(0, 100)).error, 0);
      }
    },
    { skip: noExtended },
  );

  rule(
    t,
    subject,
    'EXTENDED_HEADERS asked twice is granted or invalid',
    async (t, client) => {
      const handshake = await start(client);
      t.equal(await handshake.verdict(Option.extendedHeaders), Rep.ack);
      const again = await handshake.verdict(Option.extendedHeaders);
      t.ok(again === Rep.ack || again === Rep.errInvalid);
      t.equal((await handshake.info(Option.go, image.name)).type, Rep.ack);
    },
    { skip: noExtended },
  );
}
