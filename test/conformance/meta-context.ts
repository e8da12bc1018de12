/** Section "Metadata querying" and the options that negotiate contexts. */
import type { Test } from 'tap';
import { rule } from './rule.js';
import type { Client, Subject } from './subject.js';
import { Cmd, Errno, Option, Rep } from './wire/constant.js';
import { counted, Handshake, metaData, u32 } from './wire/handshake.js';

const start = async (client: Client): Promise<Handshake> => {
  const handshake = await Handshake.start(await client.connect());
  await handshake.ask(Option.structuredReply);
  return handshake;
};

/** What BLOCK_STATUS says after GO with the contexts that the test believes to be in force. */
async function blockStatus(handshake: Handshake, exportName: string, contexts: Map<number, string>): Promise<number> {
  const { info } = await handshake.info(Option.go, exportName);
  if (info === undefined) throw new Error('GO was refused');
  return (await handshake.session(info, 'structured', contexts).do({ type: Cmd.blockStatus, lengthBytes: 4096 })).error;
}

export function metaContext(t: Test, subject: Subject): void {
  const { image, file, has } = subject;
  const all = has.cachedContext ? ['base:allocation', 'x-copse:cached'] : ['base:allocation'];
  const names = (contexts: { name: string }[]): string[] => contexts.map(({ name }) => name).sort();

  rule(t, subject, 'SET_META_CONTEXT before structured replies is refused', async (t, client) => {
    const handshake = await Handshake.start(await client.connect());
    const { type, contexts } = await handshake.contexts(Option.setMetaContext, image.name, ['base:allocation']);
    t.ok(type === Rep.errInvalid || type === Rep.errExtHeaderReqd, type.toString(16));
    t.same(contexts, []);
  });

  rule(t, subject, 'LIST_META_CONTEXT before structured replies is refused or answered, not ignored', async (t, client) => {
    const handshake = await Handshake.start(await client.connect());
    const { type } = await handshake.contexts(Option.listMetaContext, image.name, []);
    t.ok(type === Rep.errInvalid || type === Rep.errExtHeaderReqd || type === Rep.ack, type.toString(16));
  });

  rule(t, subject, 'LIST_META_CONTEXT without queries lists all', async (t, client) => {
    const handshake = await start(client);
    const { type, contexts } = await handshake.contexts(Option.listMetaContext, image.name, []);
    t.equal(type, Rep.ack);
    for (const name of all)
      t.ok(
        contexts.some((context) => context.name === name || context.name === name.replace(/:.*/, ':')),
        name,
      );
    t.ok(
      contexts.every(({ id }) => id === 0),
      'ids of a list are reserved and zero',
    );
  });

  const queries: [string[], string[]][] = [
    [['base:'], ['base:allocation']],
    [['base:allocation'], ['base:allocation']],
    [['base:allocation', 'base:'], ['base:allocation']],
    [['base:nothing'], []],
    [['x-stranger:'], []],
    [['x-stranger:cached', 'qemu:dirty-bitmap:b'], []],
    [['x-stranger:cached', 'base:allocation'], ['base:allocation']],
    ...(has.cachedContext
      ? ([
          [['x-copse:'], ['x-copse:cached']],
          [['x-copse:cached', 'base:'], all],
          [['x-copse:nothing'], []],
        ] satisfies [string[], string[]][])
      : []),
  ];
  for (const [query, expected] of queries) {
    rule(t, subject, `LIST_META_CONTEXT ${query.join(' and ')}`, async (t, client) => {
      const handshake = await start(client);
      const { type, contexts } = await handshake.contexts(Option.listMetaContext, image.name, query);
      t.equal(type, Rep.ack);
      t.same(names(contexts), expected);
    });
  }

  const selections: [string[], string[]][] = [
    [[], []],
    [['base:allocation'], ['base:allocation']],
    [['base:'], []],
    [['base:nothing'], []],
    [['x-stranger:cached'], []],
    [['x-stranger:cached', 'base:allocation'], ['base:allocation']],
    [['base:allocation', 'base:allocation'], ['base:allocation']],
    ...(has.cachedContext
      ? ([
          [['x-copse:'], []],
          [['x-copse:cached'], ['x-copse:cached']],
          [['base:allocation', 'x-copse:cached'], all],
        ] satisfies [string[], string[]][])
      : []),
  ];
  for (const [query, expected] of selections) {
    rule(
      t,
      subject,
      `SET_META_CONTEXT ${query.join(' and ') || 'without queries'} selects ${expected.join(' and ') || 'nothing'}`,
      async (t, client) => {
        const handshake = await start(client);
        const { type, contexts } = await handshake.contexts(Option.setMetaContext, image.name, query);
        t.equal(type, Rep.ack);
        t.same(names(contexts), expected);
        t.equal(new Set(contexts.map(({ id }) => id)).size, contexts.length, 'ids are unique');
        const selected = new Map(contexts.map(({ id, name }) => [id, name]));
        t.equal(await blockStatus(handshake, image.name, selected), expected.length > 0 ? 0 : Errno.EINVAL);
      },
    );
  }

  rule(t, subject, 'a later SET_META_CONTEXT replaces the earlier one', async (t, client) => {
    const handshake = await start(client);
    await handshake.contexts(Option.setMetaContext, image.name, ['base:allocation']);
    t.equal((await handshake.contexts(Option.setMetaContext, image.name, [])).type, Rep.ack);
    t.equal(await blockStatus(handshake, image.name, new Map()), Errno.EINVAL);
  });

  rule(t, subject, 'a SET_META_CONTEXT that fails takes the earlier contexts away too', async (t, client) => {
    const handshake = await start(client);
    await handshake.contexts(Option.setMetaContext, image.name, ['base:allocation']);
    t.equal(await handshake.verdict(Option.setMetaContext, Buffer.concat([counted(image.name), u32(1)])), Rep.errInvalid);
    t.equal(await blockStatus(handshake, image.name, new Map()), Errno.EINVAL);
  });

  rule(t, subject, 'contexts hold for the export that they were set for, and no other', async (t, client) => {
    const handshake = await start(client);
    await handshake.contexts(Option.setMetaContext, image.name, ['base:allocation']);
    t.equal(await blockStatus(handshake, file.name, new Map()), Errno.EINVAL);
  });

  rule(t, subject, 'contexts of an unknown export are an error', async (t, client) => {
    const handshake = await start(client);
    for (const option of [Option.listMetaContext, Option.setMetaContext]) {
      t.equal(await handshake.verdict(option, metaData('no such export', ['base:allocation'])), Rep.errUnknown);
    }
    t.equal((await handshake.info(Option.go, image.name)).type, Rep.ack);
  });

  const name = counted(image.name);
  const malformed: [string, Buffer][] = [
    ['no data', Buffer.alloc(0)],
    ['a name that is longer than the option', Buffer.concat([u32(0x7fff_ffff), Buffer.from('x'), u32(0)])],
    ['no count of queries', name],
    ['more queries counted than sent', Buffer.concat([name, u32(2), counted('base:allocation')])],
    ['a count beyond all bounds', Buffer.concat([name, u32(0xffff_ffff)])],
    ['a query longer than the option', Buffer.concat([name, u32(1), u32(100), Buffer.from('base:allocation')])],
    ['a query length that overflows', Buffer.concat([name, u32(1), u32(0xffff_ffff), Buffer.from('base:allocation')])],
    ['a stray byte at the end', Buffer.concat([name, u32(1), counted('base:allocation'), Buffer.from([0])])],
  ];
  for (const [what, data] of malformed) {
    rule(t, subject, `malformed metadata options are ERR_INVALID: ${what}`, async (t, client) => {
      const handshake = await start(client);
      t.equal(await handshake.verdict(Option.listMetaContext, data), Rep.errInvalid);
      t.equal(await handshake.verdict(Option.setMetaContext, data), Rep.errInvalid);
      t.equal((await handshake.info(Option.go, image.name)).type, Rep.ack);
    });
  }

  rule(t, subject, 'queries over 4096 bytes, without a colon or not UTF-8 are refused or find nothing', async (t, client) => {
    const handshake = await start(client);
    for (const query of [`base:${'a'.repeat(4096)}`, 'base', '', Buffer.from([0x62, 0xff, 0x3a])]) {
      const replies = await handshake.ask(Option.setMetaContext, metaData(image.name, [query]));
      const verdict = replies.at(-1)?.type;
      t.ok(verdict === Rep.errInvalid || verdict === Rep.errTooBig || (verdict === Rep.ack && replies.length === 1), `${verdict}`);
    }
    t.equal((await handshake.info(Option.go, image.name)).type, Rep.ack);
  });

  rule(t, subject, 'a hundred queries are answered or too many, and negotiation goes on', async (t, client) => {
    const handshake = await start(client);
    const many = Array.from({ length: 100 }, (_, index) => `x-stranger:${index}`);
    const { type } = await handshake.contexts(Option.setMetaContext, image.name, [...many, 'base:allocation']);
    t.ok(type === Rep.ack || type === Rep.errTooBig);
    t.equal((await handshake.info(Option.go, image.name)).type, Rep.ack);
  });
}
