/**
 * Random writes, zeroes, trims, flushes and reads over the read-write file against a Buffer as the model: over several connections and all forms of reply,
 * pipelined as far as requests don't overlap.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { pattern } from '../conformance/content.js';
import { serve } from '../conformance/server-subject.js';
import { Cmd, CmdFlag } from '../conformance/wire/constant.js';
import { enter } from '../conformance/wire/handshake.js';
import { shortDir } from '../support/short-dir.js';

/** The part of the file that is written to. */
const sizeBytes = 1024 * 1024;

interface Operation {
  kind: 'read' | 'write' | 'zero' | 'trim' | 'flush';
  session: number;
  offset: number;
  lengthBytes: number;
  flags: number;
}

const someOperation: fc.Arbitrary<Operation> = fc
  .record({
    kind: fc.constantFrom<Operation['kind'][]>('read', 'read', 'write', 'write', 'write', 'zero', 'trim', 'flush'),
    session: fc.nat(2),
    page: fc.nat(sizeBytes / 4096 - 1),
    shift: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 4095 })),
    lengthBytes: fc.oneof(fc.constantFrom(512, 4096, 65_536), fc.integer({ min: 1, max: 200_000 })),
    fua: fc.boolean(),
    noHole: fc.boolean(),
  })
  .map(({ kind, session, page, shift, lengthBytes, fua, noHole }) => {
    const offset = page * 4096 + shift;
    const flags = (fua && kind !== 'read' ? CmdFlag.fua : 0) | (noHole && kind === 'zero' ? CmdFlag.noHole : 0);
    return { kind, session, offset, lengthBytes: Math.min(lengthBytes, sizeBytes - offset), flags };
  });

const folder = shortDir(t);
const { server, subject, close } = await serve(folder);
const path = join(folder, 's');
await server.listen({ kind: 'unix', path });
t.after(close);

t.test('random operations over three connections', async (t) => {
  const sessions = await Promise.all(
    (['simple', 'structured', 'extended'] as const).map(async (replies) => {
      const stream = createConnection({ path });
      t.teardown(() => stream.destroy());
      await once(stream, 'connect');
      return await enter(stream, subject.file.name, { replies });
    }),
  );
  const model = Buffer.alloc(sizeBytes);
  let written = 0;

  const run = async (operations: Operation[]): Promise<void> => {
    let flying: { operation: Operation; settle: () => Promise<void> }[] = [];
    const settleAll = async (): Promise<void> => {
      const settling = flying;
      flying = [];
      for (const { settle } of settling) await settle();
    };
    for (const operation of operations) {
      const { kind, offset, lengthBytes, flags } = operation;
      const end = offset + lengthBytes;
      // A flush promises something of what was answered, and overlapping requests have no order: both wait for those before them.
      if (kind === 'flush' || flying.some(({ operation: other }) => offset < other.offset + other.lengthBytes && end > other.offset))
        await settleAll();
      const session = sessions[operation.session];
      if (session === undefined) throw new Error('no such session');
      const types = { read: Cmd.read, write: Cmd.write, zero: Cmd.writeZeroes, trim: Cmd.trim, flush: Cmd.flush };
      written += 1;
      const payload = kind === 'write' ? pattern(lengthBytes, written) : undefined;
      const request =
        kind === 'flush' ? { type: Cmd.flush } : { type: types[kind], offset, lengthBytes, flags, ...(payload ? { payload } : {}) };
      const cookie = session.send(request);
      flying.push({
        operation,
        settle: async () => {
          const answer = await session.answer(cookie);
          if (answer.error !== 0) throw new Error(`${kind} of ${lengthBytes} at ${offset}: error ${answer.error} ${answer.message}`);
          if (kind === 'read' && !answer.data.equals(model.subarray(offset, end)))
            throw new Error(`read of ${lengthBytes} at ${offset} is wrong`);
          if (payload !== undefined) payload.copy(model, offset);
          else if (kind === 'zero' || kind === 'trim') model.fill(0, offset, end);
        },
      });
    }
    await settleAll();
    const whole = await sessions[0]?.read(0, sizeBytes);
    if (!whole?.data.equals(model)) throw new Error('the whole is not what the model is');
  };

  await fc.assert(fc.asyncProperty(fc.array(someOperation, { minLength: 1, maxLength: 40 }), run), { numRuns: 150, endOnFailure: true });
  t.ok((await readFile(join(folder, 'file'))).subarray(0, sizeBytes).equals(model), 'and so is the file');
});
