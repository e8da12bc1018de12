/**
 * The same random session with native threads and without: two daemons over equal files, and a Buffer as the model of both. Every answer must be the same in
 * content; in which order independent requests are answered, and into how many chunks a reply is cut, is each side's own affair.
 */
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { imageBytes, pattern } from '../conformance/content.js';
import { Cmd, CmdFlag, Flag } from '../conformance/wire/constant.js';
import type { Answer, Replies, Request, Session } from '../conformance/wire/session.js';
import { DiskHost, imageName } from '../fault/disk-host.js';
import { differences } from '../support/differences.js';
import { until } from '../support/wait.js';

const kibibyte = 1024;
const diskBytes = 8 * 1024 * kibibyte;

/** Data, holes, an end that no block divides; as a file, so that what is cached does not depend on who asked first. */
const image = imageBytes();

type Kind = 'read' | 'write' | 'zero' | 'trim' | 'flush' | 'status' | 'cache';

interface Operation {
  kind: Kind;
  offset: number;
  lengthBytes: number;
  flags: number;
}

const types: Record<Kind, number> = {
  read: Cmd.read,
  write: Cmd.write,
  zero: Cmd.writeZeroes,
  trim: Cmd.trim,
  flush: Cmd.flush,
  status: Cmd.blockStatus,
  cache: Cmd.cache,
};

/** Whole blocks as guests ask for them; and ragged, small and large, a little beyond the end, with flags that are allowed and some that are not. */
function someOperation(sizeBytes: number, kinds: Kind[]): fc.Arbitrary<Operation> {
  const pages = Math.floor(sizeBytes / 4096);
  const plain = fc
    .record({
      kind: fc.constantFrom(...kinds),
      page: fc.nat(pages - 1),
      count: fc.oneof(fc.integer({ min: 1, max: 16 }), fc.constantFrom(32, 256)),
    })
    .map(({ kind, page, count }) => ({ kind, offset: page * 4096, lengthBytes: Math.min(count, pages - page) * 4096, flags: 0 }));
  const any = fc.record({
    kind: fc.constantFrom(...kinds),
    offset: fc.record({ page: fc.nat(pages), shift: fc.nat(4095) }).map(({ page, shift }) => page * 4096 + shift),
    lengthBytes: fc.oneof(fc.integer({ min: 1, max: 20_000 }), fc.integer({ min: 1, max: 400_000 })),
    flags: fc.oneof(
      { weight: 6, arbitrary: fc.constant(0) },
      { weight: 2, arbitrary: fc.constantFrom(CmdFlag.fua, CmdFlag.df, CmdFlag.noHole, CmdFlag.reqOne) },
      { weight: 1, arbitrary: fc.nat(0xffff).map((flags) => flags & ~CmdFlag.payloadLen) },
    ),
  });
  return fc.oneof(plain, any);
}

/** What an answer says, whatever its form: status descriptors of the same kind in a row are one. */
function essence(answer: Answer): unknown {
  const status = [...answer.status].map(([id, extents]) => {
    const merged: { lengthBytes: bigint; flags: bigint }[] = [];
    for (const { lengthBytes, flags } of extents) {
      const last = merged.at(-1);
      if (last?.flags === flags) last.lengthBytes += lengthBytes;
      else merged.push({ lengthBytes, flags });
    }
    return [id, merged.map(({ lengthBytes, flags }) => `${lengthBytes}:${flags}`).join(' ')];
  });
  return { error: answer.error, data: answer.error === 0 ? answer.data.toString('base64') : '', status };
}

/** A disk trims whole blocks only. */
function change(model: Buffer, { kind, offset, lengthBytes }: Operation, payload: Buffer | undefined): void {
  const end = offset + lengthBytes;
  if (payload !== undefined) payload.copy(model, offset);
  else if (kind === 'zero') model.fill(0, offset, end);
  else if (kind === 'trim') {
    const [first, last] = [Math.ceil(offset / 4096) * 4096, Math.floor(end / 4096) * 4096];
    if (first < last) model.fill(0, first, last);
  }
}

let written = 0;

/** Sends the operations to both; those that may touch one another wait for those before. */
async function compare(both: readonly [Session, Session], model: Buffer, operations: Operation[]): Promise<void> {
  let flying: { start: number; end: number; changes: boolean; settle: () => Promise<void> }[] = [];
  const settleAll = async (): Promise<void> => {
    const settling = flying;
    flying = [];
    for (const { settle } of settling) await settle();
  };
  for (const operation of operations) {
    const { kind, offset, lengthBytes, flags } = operation;
    const end = offset + lengthBytes;
    const changes = kind === 'write' || kind === 'zero' || kind === 'trim';
    const touches = flying.some((other) => (changes || other.changes) && offset < other.end && end > other.start);
    if (kind === 'flush' || kind === 'status' || touches) await settleAll();
    written += 1;
    const payload = kind === 'write' ? pattern(lengthBytes, written) : undefined;
    const request: Request =
      kind === 'flush' ? { type: Cmd.flush, flags } : { type: types[kind], offset, lengthBytes, flags, ...(payload ? { payload } : {}) };
    const cookies = both.map((session) => session.send(request));
    const settle = async (): Promise<void> => {
      const what = `${kind} of ${lengthBytes} at ${offset}, flags ${flags}`;
      const answers = await Promise.all(both.map((session, index) => session.answer(cookies[index] ?? 0n)));
      const [fast, slow] = answers;
      if (fast === undefined || slow === undefined) throw new Error(`${what}: not answered`);
      const [ofFast, ofSlow] = [JSON.stringify(essence(fast)), JSON.stringify(essence(slow))];
      if (ofFast !== ofSlow) throw new Error(`${what}: ${ofFast.slice(0, 300)} natively, ${ofSlow.slice(0, 300)} by TypeScript`);
      if (fast.error === 0 && kind === 'read' && !fast.data.equals(model.subarray(offset, end))) throw new Error(`${what}: both are wrong`);
      if (fast.error === 0) change(model, operation, payload);
    };
    flying.push({ start: offset, end, changes, settle });
    if (flying.length >= 24) await settleAll();
  }
  await settleAll();
}

/** Everything at once and in pieces, so that each way of answering sees the whole. */
async function compareWhole(both: readonly [Session, Session], model: Buffer): Promise<void> {
  for (const session of both) {
    for (const blockBytes of [12 * kibibyte, 256 * kibibyte, 2048 * kibibyte]) {
      const wrong = await differences(session, model, blockBytes);
      if (wrong.length > 0) throw new Error(`${blockBytes} bytes at a time: ${wrong.slice(0, 5).join('; ')}`);
    }
  }
}

async function start(t: Test, fastPath: boolean): Promise<DiskHost> {
  const host = await DiskHost.start(t, { image, fastPath });
  await host.disk('create', 'blank', '--size', String(diskBytes));
  await host.disk('create', 'over', '--image', imageName, '--size', String(diskBytes));
  const session = await host.daemon.attach(imageName);
  const wrong = await differences(session, image);
  if (wrong.length > 0) throw new Error(wrong.join('; '));
  // Known is what is stored.
  await until('all of the image in the cache', async () => {
    const { cache } = (await host.daemon.imageStatus(imageName)) as { cache: { cachedBytes: number } };
    return cache.cachedBytes === image.length;
  });
  await session.disconnect();
  return host;
}

const fast = await start(t, true);
const slow = await start(t, false);

async function run(t: Test, name: string, model: Buffer, kinds: Kind[], numRuns: number): Promise<void> {
  for (const replies of ['simple', 'structured', 'extended'] as Replies[]) {
    const enter = { replies, ...(replies === 'simple' ? {} : { contexts: ['base:allocation', 'x-copse:cached'] }) };
    await fc.assert(
      fc.asyncProperty(fc.array(someOperation(model.length, kinds), { minLength: 40, maxLength: 120, size: 'max' }), async (operations) => {
        const both = [await fast.daemon.attach(name, enter), await slow.daemon.attach(name, enter)] as const;
        await compare(both, model, operations);
        for (const session of both) await session.disconnect();
      }),
      { numRuns, endOnFailure: true },
    );
    const both = [await fast.daemon.attach(name, enter), await slow.daemon.attach(name, enter)] as const;
    t.equal(both[0].info.flags & Flag.readOnly, both[1].info.flags & Flag.readOnly);
    await compareWhole(both, model);
    for (const session of both) await session.disconnect();
  }
}

const all: Kind[] = ['read', 'read', 'read', 'write', 'write', 'write', 'zero', 'trim', 'flush', 'status', 'cache'];

t.test('an image', async (t) => {
  await run(t, imageName, Buffer.from(image), ['read', 'read', 'read', 'read', 'status', 'cache', 'write', 'flush'], 8);
  const { reads, handedUp } = await fast.daemon.fastPath();
  t.ok(reads > 500, `${reads} reads natively`);
  t.ok(handedUp > 100, `${handedUp} requests not`);
});

t.test('a disk over nothing', async (t) => {
  const before = await fast.daemon.fastPath();
  await run(t, 'blank', Buffer.alloc(diskBytes), all, 8);
  const after = await fast.daemon.fastPath();
  t.ok(after.reads - before.reads > 100, `${after.reads - before.reads} reads natively`);
  t.ok(after.writes - before.writes > 20, `${after.writes - before.writes} writes natively`);
});

t.test('a disk over an image', async (t) => {
  const before = await fast.daemon.fastPath();
  const model = Buffer.alloc(diskBytes);
  image.copy(model);
  await run(t, 'over', model, all, 8);
  const after = await fast.daemon.fastPath();
  t.ok(after.reads - before.reads > 100, `${after.reads - before.reads} reads natively`);
  t.ok(after.writes - before.writes > 20, `${after.writes - before.writes} writes natively`);
});

t.test('and the other side really was without', async (t) => {
  t.match(await slow.daemon.fastPath(), { enabled: false, connections: 0, reads: 0, coldReads: 0, writes: 0, handedUp: 0 });
  t.match(await fast.daemon.fastPath(), { enabled: true });
});
