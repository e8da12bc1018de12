/** Section "Newstyle negotiation": the first bytes of either side. */
import type { Test } from 'tap';
import { rule } from './rule.js';
import type { Subject } from './subject.js';
import { Option, Rep } from './wire/constant.js';
import { Handshake, infoData, optionBytes } from './wire/handshake.js';

export function greeting(t: Test, subject: Subject): void {
  rule(t, subject, 'the server greets first, with fixed newstyle and no-zeroes and no other flag', async (t, client) => {
    const handshake = new Handshake(await client.connect());
    await handshake.greet();
    t.equal(handshake.serverFlags, 3);
    t.equal(handshake.bytes.bufferedBytes, 0, 'nothing comes behind the greeting unasked');
  });

  for (const flags of [4, 7, 0x8000_0000, 0xffff_ffff]) {
    rule(t, subject, `unknown client flags end the connection: 0x${flags.toString(16)}`, async (t, client) => {
      const handshake = await Handshake.start(await client.connect(), flags);
      handshake.send(Option.list);
      t.equal((await handshake.bytes.rest('end of the connection')).length, 0, 'not a byte is answered');
    });
  }

  rule(t, subject, 'a client that is not fixed newstyle can still use EXPORT_NAME', async (t, client) => {
    const handshake = await Handshake.start(await client.connect(), 0);
    handshake.send(Option.exportName, Buffer.from(subject.image.name));
    const reply = await handshake.bytes.take(134, 'reply to EXPORT_NAME');
    t.equal(reply.readBigUInt64BE(0), BigInt(subject.image.bytes.length));
    t.ok(reply.subarray(10).equals(Buffer.alloc(124)), '124 zeroes, because the client did not ask to leave them out');
  });

  rule(t, subject, 'a wrong option magic ends the connection', async (t, client) => {
    const handshake = await Handshake.start(await client.connect());
    handshake.bytes.send(optionBytes(Option.list, Buffer.alloc(0), 0, 0x49484156454f5055n));
    t.equal((await handshake.bytes.rest('end of the connection')).length, 0);
  });

  rule(t, subject, 'garbage instead of client flags and options ends that connection and no other', async (t, client) => {
    const bystander = await client.image();
    const handshake = new Handshake(await client.connect());
    await handshake.greet();
    handshake.bytes.send(Buffer.from('GET / HTTP/1.1\r\nHost: nowhere\r\n\r\n'));
    t.equal((await handshake.bytes.rest('end of the connection')).length, 0);
    t.equal((await bystander.read(0, 512)).error, 0);
  });

  rule(t, subject, 'a handshake may arrive one byte at a time', async (t, client) => {
    const handshake = new Handshake(await client.connect());
    await handshake.greet();
    const info = optionBytes(Option.info, infoData(subject.image.name));
    const bytes = Buffer.concat([Buffer.from([0, 0, 0, 3]), optionBytes(Option.list), info]);
    const cuts = [...bytes].map((_, index) => bytes.subarray(index, index + 1));
    const sending = (async () => {
      for (const cut of cuts) {
        await handshake.bytes.sendAll(cut);
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    t.equal((await handshake.replies(Option.list)).at(-1)?.type, Rep.ack);
    t.equal((await handshake.replies(Option.info)).at(-1)?.type, Rep.ack);
    await sending;
  });

  rule(t, subject, 'a client may leave at every byte of the handshake and nobody minds', async (t, client) => {
    const go = optionBytes(Option.go, infoData(subject.image.name));
    const bytes = Buffer.concat([Buffer.from([0, 0, 0, 3]), go]);
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const handshake = new Handshake(await client.connect());
      await handshake.greet();
      handshake.bytes.send(bytes.subarray(0, cut));
      if (cut % 2 === 0) handshake.bytes.stream.end();
      else handshake.bytes.destroy();
    }
    t.equal((await (await client.image()).read(0, 512)).error, 0);
  });
}
