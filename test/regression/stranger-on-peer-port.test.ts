/**
 * Whoever reached the peers' port could make a node do what a member may ask, and more: hand a disk
 * over, remove a copy, promise never to accept an epoch, clear the marks of a copy, open any URL or
 * file that a disk's record names, and stop serving a disk by a made-up epoch.
 */
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { protocolVersion } from '../../src/cluster/node.js';
import type { DiskRecord } from '../../src/disk/protocol/record.js';
import { enter } from '../conformance/wire/handshake.js';
import { addressesOf, allUp, startMember } from '../daemon/member.js';
import type { Node } from '../daemon/node.js';
import { TestDisks } from '../peer/disk-server.js';
import { servePeers } from '../peer/peer-server.js';
import { until } from '../support/wait.js';

const mebibyte = 2 ** 20;
/**
 * An address of the loopback that no member has, and that the kernel takes for nobody by itself.
 */
const strangersHost = '127.0.0.9';
const madeUp = 1_000_000;

/** A raw NBD client of the peers' port. @returns the session, or why the export was refused */
async function enterFrom(t: Test, address: string, localAddress: string, name: string) {
  const [host = '', port = ''] = address.split(':');
  const socket = connect({ host, port: Number(port), localAddress, allowHalfOpen: true });
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  return enter(socket, name);
}

async function callFrom(t: Test, address: string, localAddress: string, name: string, method: string, argument: unknown): Promise<unknown> {
  const session = await enterFrom(t, address, localAddress, name);
  const { error } = await session.write(0, Buffer.from(JSON.stringify({ method, argument })));
  t.equal(error, 0, `${method} is answered`);
  const { data } = await session.read(4096, 16_384);
  return JSON.parse(data.toString());
}

function stateOf(node: Node, uuid: string): { state: string; epoch: number } {
  return JSON.parse(readFileSync(join(node.folder, 'state', 'disk', uuid, 'owner.json'), 'utf8'));
}

function notesOf(node: Node): string {
  const path = join(node.folder, 'state', 'disk-notes.json');
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

async function writeAt(node: Node, disk: string, byte: number): Promise<number> {
  const { session, detach } = await node.attach(disk);
  const { error } = await session.write(0, Buffer.alloc(4096, byte));
  await session.do({ type: 3 });
  await detach();
  return error;
}

t.test('calls of strangers, and of members about handovers that are not theirs', async (t) => {
  const addresses = await addressesOf(3);
  const [atOne = '', atTwo = '', atThree = ''] = addresses;
  const one = await startMember(t, 'one', atOne, addresses);
  const two = await startMember(t, 'two', atTwo, addresses);
  const three = await startMember(t, 'three', atThree, addresses);
  await allUp([one, two, three], ['one', 'two', 'three']);
  const { uuid } = await one.admin.disks.create({ name: 'vm', sizeBytes: mebibyte });
  t.equal(await writeAt(one, 'vm', 7), 0);
  const other = '0b54a3cd-92f9-4b6c-9a5e-0a64c3a1f5d2';
  const [refOne, refTwo, refThree] = [
    { id: 'one', address: atOne },
    { id: 'two', address: atTwo },
    { id: 'three', address: atThree },
  ];
  const record = { ...(await described(t, one, atOne, uuid)), uuid };
  const receive = { record, epoch: 1, from: refOne, copy: other, nodes: {}, touched: [] };
  const calls: [string, string, unknown][] = [
    [atOne, 'disk.describe', { uuid }],
    [atOne, 'disk.trace', { uuid }],
    [atOne, 'disk.handover', { uuid, to: refTwo, reason: 'take' }],
    [atOne, 'disk.accepted', { uuid, epoch: 2, by: refTwo }],
    [atTwo, 'disk.resolve', { uuid, epoch: madeUp }],
    [atTwo, 'disk.resolve', { uuid: other, epoch: 2 }],
    [atOne, 'disk.release', { uuid, epoch: madeUp }],
    [atTwo, 'disk.invite', { uuid, reason: 'migrate' }],
    [atTwo, 'disk.receive', receive],
    [atTwo, 'disk.replica', { uuid }],
    [atTwo, 'disk.forced', { uuid, force: { from: 1, to: madeUp, node: refThree, at: '2026-11-22T10:00:00.000Z' } }],
  ];
  const before = [notesOf(one), notesOf(two), notesOf(three)];

  await t.test('a stranger', async (t) => {
    for (const name of ['call', 'call;from=one', 'call;from=two', 'call;from=nobody']) {
      for (const [address, method, argument] of calls)
        t.match(
          await callFrom(t, address, strangersHost, name, method, argument),
          { error: { code: 'ERR_NOT_MEMBER' } },
          `${method} as ${name}`,
        );
    }
    for (const kind of ['disk', 'blocks', 'map']) {
      for (const rest of ['', ';changes']) {
        await t.rejects(enterFrom(t, atOne, strangersHost, `${kind}/${uuid};from=two${rest}`), `${kind} is not to be had`);
      }
    }
  });

  await t.test('a member under no name, or under one that nobody at its address has', async (t) => {
    for (const name of ['call', 'call;from=nobody', 'call;from=one']) {
      const answer = await callFrom(t, atOne, '127.0.0.1', name, 'disk.handover', { uuid, to: refTwo, reason: 'take' });
      t.match(answer, { error: { code: 'ERR_CALLER' } }, name);
    }
    await t.rejects(enterFrom(t, atOne, '127.0.0.1', `disk/${uuid};from=nobody`));
  });

  await t.test('a member that has no part in it', async (t) => {
    const asThree = (address: string, method: string, argument: unknown) =>
      callFrom(t, address, '127.0.0.1', 'call;from=three', method, argument);
    const force = { from: 1, to: madeUp, node: refThree, at: '2026-11-22T10:00:00.000Z' };
    const wrong: [string, string, unknown, string][] = [
      [atOne, 'disk.handover', { uuid, to: refTwo, reason: 'take' }, 'ERR_CALLER'],
      [atOne, 'disk.accepted', { uuid, epoch: 2, by: refTwo }, 'ERR_CALLER'],
      [atOne, 'disk.accepted', { uuid, epoch: 2, by: refThree }, 'ERR_NOT_OWNER'],
      [atTwo, 'disk.resolve', { uuid, epoch: 2 }, 'ERR_NOT_OWNER'],
      [atTwo, 'disk.resolve', { uuid, epoch: madeUp }, 'ERR_NOT_OWNER'],
      [atTwo, 'disk.resolve', { uuid: other, epoch: madeUp }, 'ERR_NOT_OWNER'],
      [atOne, 'disk.release', { uuid, epoch: madeUp }, 'ERR_NOT_OWNER'],
      [atTwo, 'disk.invite', { uuid, reason: 'migrate' }, 'ERR_NOT_OWNER'],
      [atTwo, 'disk.receive', receive, 'ERR_CALLER'],
      [atTwo, 'disk.receive', { ...receive, from: refThree }, 'ERR_NOT_YET'],
      [atTwo, 'disk.forced', { uuid, force }, 'ERR_NOT_OWNER'],
      [atOne, 'disk.resolve', { uuid, epoch: 2 ** 53 }, 'ERR_ARGUMENT'],
      [atOne, 'disk.resolve', { uuid, epoch: 2 ** 52 }, 'ERR_ARGUMENT'],
      [atOne, 'disk.release', { uuid, epoch: 1.5 }, 'ERR_ARGUMENT'],
    ];
    // The node that would be invited has a client, so that nothing else keeps it from taking the
    // disk.
    const attached = await two.attach('vm');
    for (const [address, method, argument, code] of wrong) {
      t.match(await asThree(address, method, argument), { error: { code } }, `${method} ${JSON.stringify(argument)}`);
    }
    await attached.detach();
  });

  t.match(stateOf(one, uuid), { state: 'owner', epoch: 1 }, 'it is where it was');
  t.same([notesOf(one), notesOf(two), notesOf(three)], before, 'nobody has noted anything');
  t.notOk(existsSync(join(two.folder, 'state', 'disk', uuid)), 'and nothing is copied');
  t.equal(await writeAt(one, 'vm', 8), 0);
});

async function described(t: Test, node: Node, address: string, uuid: string): Promise<DiskRecord> {
  t.ok(node);
  const answer = (await callFrom(t, address, '127.0.0.1', 'call;from=two', 'disk.describe', { uuid })) as {
    result: { record: DiskRecord };
  };
  return answer.result.record;
}

t.test('a hostile member: what it names is not opened, and what it claims is not believed', async (t) => {
  const [atOne = ''] = await addressesOf(1);
  const asked: string[] = [];
  const web = createHttpServer((request, response) => {
    asked.push(request.url ?? '');
    response.end('x');
  }).listen(0, '127.0.0.1');
  await once(web, 'listening');
  t.teardown(() => web.close());
  const url = `http://127.0.0.1:${(web.address() as AddressInfo).port}/secret`;
  const secretPath = join(t.testdir({}), 'secret');
  writeFileSync(secretPath, Buffer.alloc(mebibyte, 'secret'));

  // A member that answers whatever suits it.
  const contents = new TestDisks('evil', { cluster: 'test', protocol: { ...protocolVersion } });
  const records = new Map<string, DiskRecord>();
  const words = new Map<string, unknown>();
  contents.call = async (method, argument) => {
    const { uuid = '' } = argument as { uuid?: string };
    if (method === 'disk.describe') return { record: records.get(uuid), state: 'owner', epoch: 5, dataBytes: 0 };
    if (method === 'disk.trace') return words.get(uuid) ?? { state: 'owner', epoch: 5 };
    if (method === 'disk.handover') return { epoch: 6, record: records.get(uuid), nodes: {} };
    return {};
  };
  contents.map = async () => ({ blockCount: mebibyte / 4096, copy: (target) => void target.fill(0), release: () => {} });
  const evil = await servePeers(t, contents);
  contents.current = { ...contents.current, address: evil.address };
  const one = await startMember(t, 'one', atOne, [atOne, evil.address]);
  await allUp([one], ['evil']);
  const asEvil = (method: string, argument: unknown) => callFrom(t, atOne, '127.0.0.1', 'call;from=evil', method, argument);
  const sources = {
    http: { url, identity: { kind: 'http' as const, sizeBytes: mebibyte, etag: '"x"' } },
    file: {
      url: secretPath,
      identity: { kind: 'file' as const, sizeBytes: mebibyte, inode: '1', mtimeNs: '1', digest: `blake3:${'0'.repeat(64)}` },
    },
    unshared: { url: `${url}?2`, identity: { kind: 'http' as const, sizeBytes: mebibyte } },
  };

  for (const [kind, { url: from, identity }] of Object.entries(sources)) {
    const uuid = `0b54a3cd-92f9-4b6c-9a5e-00000000000${Object.keys(sources).indexOf(kind)}`;
    const content = { url: from, identity, format: 'raw', sizeBytes: mebibyte, chunkSizeBytes: 65_536 };
    const image = { name: 'image', content, share: 'trust' as const };
    const record: DiskRecord = {
      ...{ format: 1, name: kind, uuid, sizeBytes: mebibyte, image, createdAt: '2026-11-22T10:00:00.000Z', multiConn: false },
      ...{ handover: 'auto', deadlineMs: 1500 },
    };
    records.set(uuid, record);
    await t.test(`a disk over ${kind} that is copied here ahead`, async (t) => {
      const touched: [number, number][] = [[0, mebibyte]];
      const argument = { record, epoch: 5, from: { id: 'evil', address: evil.address }, copy: uuid, nodes: {}, touched };
      t.match(await asEvil('disk.receive', argument), { result: {} });
      await until('the copy has come to its end', async () => {
        const { result } = (await asEvil('disk.replica', { uuid })) as { result: { state: string } };
        return result.state !== 'copying';
      });
      t.same(asked, []);
    });
    await t.test(`a disk over ${kind} that is taken from there`, async (t) => {
      contents.current = { ...contents.current, disks: [{ uuid, epoch: 5 }] };
      await until('it is known', async () => (await one.admin.disks.list()).some(({ name }) => name === kind));
      await one.admin.disks.take(kind, {});
      const { session, detach } = await one.attach(kind);
      t.equal((await session.write(0, Buffer.alloc(4096, 1))).error, 0, 'what needs no image');
      const { error } = await session.read(65_536, 4096);
      t.not(error, 0, 'a chunk that no member gives is an error');
      t.match((await one.admin.disks.status(kind)).message, /allow_origins = \[/);
      await detach();
      t.same(asked, [], 'nothing was asked of the origin');
    });
  }

  await t.test('a made-up epoch of a disk that is here', async (t) => {
    const { uuid } = await one.admin.disks.create({ name: 'mine', sizeBytes: mebibyte });
    t.equal(await writeAt(one, 'mine', 1), 0);
    records.set(uuid, { ...(records.values().next().value as DiskRecord), uuid, name: 'mine' });
    words.set(uuid, { state: 'owner', epoch: madeUp });
    const asks: string[] = [];
    const answer = contents.call;
    contents.call = async (method, argument, context) => {
      if ((argument as { uuid?: string }).uuid === uuid) asks.push(method);
      return answer?.(method, argument, context);
    };
    contents.current = { ...contents.current, disks: [{ uuid, epoch: madeUp }] };
    await until('it is asked back', () => asks.includes('disk.trace'));
    t.equal(await writeAt(one, 'mine', 2), 0, 'the gate is open again');
    t.match(stateOf(one, uuid), { state: 'owner', epoch: 1 });
    t.match(await asEvil('disk.release', { uuid, epoch: madeUp }), { error: { code: 'ERR_NOT_OWNER' } });
    t.ok(existsSync(join(one.folder, 'state', 'disk', uuid)));
  });
});
