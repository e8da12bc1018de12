/** Every command with every flag, on every kind of connection and export, and ranges at the borders. */
import t from 'tap';
import { Command, CommandFlag, ErrorNumber, MAX_PAYLOAD_BYTES, type ReplyMode } from '../../src/nbd/codec/constant.js';
import { emptyRequest, OUT_OF_RANGE, type Request } from '../../src/nbd/codec/frame.js';
import { type CheckContext, refusalOf } from '../../src/server/request-check.js';
import { ScriptedDevice } from './scripted-device.js';

const sizeBytes = 100_000;
const readWrite = new ScriptedDevice(Buffer.alloc(sizeBytes));
const readOnly = new ScriptedDevice(Buffer.alloc(sizeBytes), { readOnly: true, trim: false, writeZeroes: false, fastZero: false });
const { EINVAL, EPERM, ENOSPC } = ErrorNumber;

function check(request: Partial<Request>, context: Partial<CheckContext> = {}): number | undefined {
  const { device = readWrite, replies = 'structured', hasContexts = true } = context;
  return refusalOf({ ...emptyRequest(), lengthBytes: 10, ...request }, { device, replies, hasContexts })?.error;
}

const commands = [
  Command.READ,
  Command.WRITE,
  Command.FLUSH,
  Command.TRIM,
  Command.CACHE,
  Command.WRITE_ZEROES,
  Command.BLOCK_STATUS,
] as const;
const flagNames = ['FUA', 'NO_HOLE', 'DF', 'REQ_ONE', 'FAST_ZERO', 'PAYLOAD_LEN'] as const;

/** Flags beside FUA that a command takes on a structured connection. From doc/proto.md, "Command flags". */
const taken: Record<number, readonly string[]> = {
  [Command.READ]: ['DF'],
  [Command.WRITE_ZEROES]: ['NO_HOLE', 'FAST_ZERO'],
  [Command.BLOCK_STATUS]: ['REQ_ONE'],
};

t.test('each flag goes with the commands that know it', async (t) => {
  for (const type of commands) {
    for (const name of flagNames) {
      const lengthBytes = type === Command.FLUSH ? 0 : 10;
      const expected = name === 'FUA' || taken[type]?.includes(name) ? undefined : EINVAL;
      t.equal(check({ type, flags: CommandFlag[name], lengthBytes }), expected, `command ${type} with ${name}`);
    }
    t.equal(check({ type, flags: 1 << 6, lengthBytes: 0 }), EINVAL, `command ${type} with a flag that nobody knows`);
  }
});

t.test('without flags each command is served', async (t) => {
  for (const replies of ['simple', 'structured'] as const)
    for (const type of commands) t.equal(check({ type, lengthBytes: type === Command.FLUSH ? 0 : 10 }, { replies }), undefined, `${type}`);
});

t.test('commands that nobody knows, RESIZE among them', async (t) => {
  for (const type of [Command.RESIZE, 9, 0x7fff, 0xffff]) t.equal(check({ type }), EINVAL);
});

t.test('DF is for structured and extended replies', async (t) => {
  const expected: Record<ReplyMode, number | undefined> = { simple: EINVAL, structured: undefined, extended: undefined };
  for (const replies of ['simple', 'structured', 'extended'] as const)
    t.equal(check({ type: Command.READ, flags: CommandFlag.DF }, { replies }), expected[replies], replies);
});

t.test('PAYLOAD_LEN is for a WRITE with extended headers, which needs it', async (t) => {
  t.equal(check({ type: Command.WRITE }, { replies: 'extended' }), EINVAL);
  t.equal(check({ type: Command.WRITE, flags: CommandFlag.PAYLOAD_LEN }, { replies: 'extended' }), undefined);
  for (const type of commands.filter((other) => other !== Command.WRITE))
    t.equal(check({ type, flags: CommandFlag.PAYLOAD_LEN, lengthBytes: 0 }, { replies: 'extended' }), EINVAL, `${type}`);
});

t.test('a read-only export refuses what writes, whatever the range, and FUA, which it did not offer', async (t) => {
  for (const type of [Command.WRITE, Command.TRIM, Command.WRITE_ZEROES])
    for (const offset of [0, sizeBytes, OUT_OF_RANGE])
      t.equal(check({ type, offset }, { device: readOnly }), EPERM, `${type} at ${offset}`);
  for (const type of [Command.READ, Command.CACHE, Command.BLOCK_STATUS]) {
    t.equal(check({ type }, { device: readOnly }), undefined);
    t.equal(check({ type, flags: CommandFlag.FUA }, { device: readOnly }), EINVAL);
  }
  t.equal(check({ type: Command.FLUSH, lengthBytes: 0 }, { device: readOnly }), undefined);
});

t.test('what an export did not offer is refused', async (t) => {
  const device = new ScriptedDevice(Buffer.alloc(sizeBytes), { trim: false, writeZeroes: true, fastZero: false });
  t.equal(check({ type: Command.TRIM }, { device }), EINVAL);
  t.equal(check({ type: Command.WRITE_ZEROES }, { device }), undefined);
  t.equal(check({ type: Command.WRITE_ZEROES, flags: CommandFlag.FAST_ZERO }, { device }), EINVAL);
  const plain = new ScriptedDevice(Buffer.alloc(sizeBytes), { writeZeroes: false });
  t.equal(check({ type: Command.WRITE_ZEROES }, { device: plain }), EINVAL);
});

t.test('ranges', async (t) => {
  const inside: [number, number][] = [
    [0, 1],
    [0, sizeBytes],
    [sizeBytes - 1, 1],
    [sizeBytes, 0],
    [0, 0],
  ];
  const outside: [number, number][] = [
    [0, sizeBytes + 1],
    [sizeBytes - 1, 2],
    [sizeBytes, 1],
    [sizeBytes + 1, 0],
    [Number.MAX_SAFE_INTEGER, 1],
    [OUT_OF_RANGE, 1],
    [OUT_OF_RANGE, 0],
    [1, 2 ** 32 - 1],
  ];
  for (const type of [Command.READ, Command.WRITE, Command.TRIM, Command.CACHE, Command.WRITE_ZEROES, Command.BLOCK_STATUS]) {
    const beyond = type === Command.WRITE || type === Command.WRITE_ZEROES ? ENOSPC : EINVAL;
    for (const [offset, lengthBytes] of inside) {
      const expected = type === Command.BLOCK_STATUS && lengthBytes === 0 ? EINVAL : undefined;
      t.equal(check({ type, offset, lengthBytes }), expected, `${type}: ${lengthBytes} at ${offset}`);
    }
    for (const [offset, lengthBytes] of outside) {
      const tooLong = type === Command.WRITE && lengthBytes > MAX_PAYLOAD_BYTES;
      const nothing = type === Command.BLOCK_STATUS && lengthBytes === 0;
      t.equal(check({ type, offset, lengthBytes }), tooLong || nothing ? EINVAL : beyond, `${type}: ${lengthBytes} at ${offset}`);
    }
  }
  t.equal(check({ type: Command.TRIM, lengthBytes: OUT_OF_RANGE }), EINVAL, 'a length of 2^53 or more');
});

t.test('a FLUSH has no range', async (t) => {
  t.equal(check({ type: Command.FLUSH, lengthBytes: 0 }), undefined);
  t.equal(check({ type: Command.FLUSH, lengthBytes: 1 }), EINVAL);
  t.equal(check({ type: Command.FLUSH, lengthBytes: 0, offset: 1 }), EINVAL);
});

t.test('at most 32 MiB of payload; commands without payload may reach farther', async (t) => {
  const huge = { ...readWrite, sizeBytes: 2 ** 40, features: readWrite.features } as unknown as ScriptedDevice;
  for (const type of [Command.READ, Command.WRITE]) {
    t.equal(check({ type, lengthBytes: MAX_PAYLOAD_BYTES }, { device: huge }), undefined);
    t.equal(check({ type, lengthBytes: MAX_PAYLOAD_BYTES + 1 }, { device: huge }), EINVAL);
  }
  for (const type of [Command.TRIM, Command.WRITE_ZEROES, Command.CACHE, Command.BLOCK_STATUS])
    t.equal(check({ type, lengthBytes: 2 ** 32 - 1 }, { device: huge }), undefined);
});

t.test('BLOCK_STATUS needs a context', async (t) => {
  t.equal(check({ type: Command.BLOCK_STATUS }, { hasContexts: false }), EINVAL);
});
