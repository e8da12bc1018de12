import t from 'tap';
import type { NodeStatement } from '../../../src/cluster/node.js';
import {
  decodeStatement,
  decodeStatementHeader,
  StatementCache,
  type StatementPage,
  statementHeaderBytes,
  statementPageBytes,
} from '../../../src/peer/wire/statement-page.js';
import { sharedContent, statementOf } from '../node-statement.js';

function bytesOf(page: StatementPage, offset = 0, lengthBytes = statementPageBytes - offset): Buffer {
  const bytes = Buffer.alloc(lengthBytes + 2, 0xee);
  page.copy(bytes, 1, lengthBytes, offset);
  if (bytes[0] !== 0xee || bytes[lengthBytes + 1] !== 0xee) throw new Error('copied beyond the range');
  return bytes.subarray(1, lengthBytes + 1);
}

function read(bytes: Buffer): NodeStatement {
  const header = decodeStatementHeader(bytes.subarray(0, statementHeaderBytes));
  return decodeStatement(header, bytes.subarray(statementHeaderBytes, statementHeaderBytes + header.lengthBytes));
}

const incompatible = { code: 'ERR_PEER_INCOMPATIBLE' };

t.test('what was pressed can be read, and is text', async (t) => {
  const statement = statementOf('a', { usedBytes: 77, contents: Array.from({ length: 500 }, (_, index) => sharedContent(index)) });
  const bytes = bytesOf(new StatementCache().page(statement));
  t.same(read(bytes), statement);
  const [header = '', body = '', ...rest] = bytes.toString().split('\n');
  t.equal(header.length, statementHeaderBytes - 1);
  t.equal(JSON.parse(header).usedBytes, 77);
  t.equal(JSON.parse(body).id, 'a');
  t.same(rest, ['']);
});

t.test('a range is the same range of the whole', async (t) => {
  const page = new StatementCache().page(statementOf('a'));
  const whole = bytesOf(page);
  for (const [offset, lengthBytes] of [
    [0, 1],
    [4095, 2],
    [10, 5000],
    [4097, 100],
    [statementPageBytes - 3, 3],
    [500_000, 4096],
  ] as const) {
    t.ok(bytesOf(page, offset, lengthBytes).equals(whole.subarray(offset, offset + lengthBytes)), `${lengthBytes} at ${offset}`);
  }
});

t.test('a generation lasts until something changes, used bytes aside', async (t) => {
  const statementCache = new StatementCache();
  const generationOf = (statement: NodeStatement): number =>
    decodeStatementHeader(bytesOf(statementCache.page(statement), 0, 4096)).generation;
  const first = statementOf('a');
  t.equal(generationOf(first), 1);
  t.equal(generationOf(first), 1);
  t.equal(generationOf({ ...first, usedBytes: 9 }), 1);
  t.equal(read(bytesOf(statementCache.page({ ...first, usedBytes: 9 }))).usedBytes, 9);
  t.equal(generationOf({ ...first, draining: true }), 2);
  t.equal(generationOf({ ...first, draining: true, contents: [sharedContent(1)] }), 3);
});

t.test('contents that have no room are left out', async (t) => {
  const contents = Array.from({ length: 20_000 }, (_, index) => sharedContent(index));
  const { contents: told } = read(bytesOf(new StatementCache().page(statementOf('a', { contents }))));
  t.ok(told.length > 7000 && told.length < contents.length, `${told.length} of ${contents.length}`);
  t.same(told, contents.slice(0, told.length));
});

t.test('so are disks, where they alone have no room', async (t) => {
  const uuid = (index: number): string => `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`;
  const disks = Array.from({ length: 30_000 }, (_, index) => ({ uuid: uuid(index), epoch: 1 }));
  const told = read(bytesOf(new StatementCache().page(statementOf('a', { contents: [sharedContent(1)], attached: ['x'], disks }))));
  t.ok(told.disks.length > 5000 && told.disks.length < disks.length, `${told.disks.length} of ${disks.length}`);
  t.equal(disks.length, 30_000, 'the statement itself keeps them');
});

t.test('another protocol is told by whom, before anything else is read', async (t) => {
  const protocol = { least: 7, greatest: 9 };
  const statementCache = new StatementCache();
  const bytes = bytesOf(statementCache.page(statementOf('newer', { protocol, version: '9.0.0' })));
  t.throws(() => read(bytes), { ...incompatible, id: 'newer', version: '9.0.0' });
  t.throws(() => decodeStatementHeader(Buffer.from(JSON.stringify({ copse: 'node', protocol, id: 'x', version: '9', format: 2 }))), {
    ...incompatible,
    id: 'x',
  });
});

t.test('what is no statement', async (t) => {
  const header = {
    copse: 'node',
    format: 1,
    protocol: { least: 1, greatest: 1 },
    id: 'a',
    version: '1',
    generation: 1,
    lengthBytes: 9,
    usedBytes: 0,
  };
  t.equal(decodeStatementHeader(Buffer.from(JSON.stringify(header))).lengthBytes, 9);
  const wrong = [
    { ...header, lengthBytes: statementPageBytes },
    { ...header, lengthBytes: -1 },
    { ...header, lengthBytes: 1e300 },
    { ...header, generation: 0 },
    { ...header, format: 2 },
    { ...header, copse: 'other' },
    { ...header, id: '-' },
    { ...header, usedBytes: -1 },
    [],
    'node',
    null,
  ];
  for (const value of wrong) t.throws(() => decodeStatementHeader(Buffer.from(JSON.stringify(value))), incompatible, JSON.stringify(value));
  t.throws(() => decodeStatementHeader(Buffer.alloc(4096)), incompatible, 'zeros');
  const parsed = decodeStatementHeader(Buffer.from(JSON.stringify(header)));
  const bodies = [
    '{',
    '{}',
    JSON.stringify(statementOf('a', { token: 'x'.repeat(65) })),
    JSON.stringify({ ...statementOf('a'), contents: [{}] }),
  ];
  for (const body of bodies) t.throws(() => decodeStatement(parsed, Buffer.from(body)), incompatible, body.slice(0, 40));
  t.equal(
    decodeStatement(parsed, Buffer.from(JSON.stringify({ ...statementOf('a'), later: true }))).id,
    'a',
    'fields of later versions do not matter',
  );
});
