/**
 * Random histories of an overlay against a model: what is read is what was written, states and counters are as they must be. Now and then the
 * files are copied as they are, as a killed process would leave them, and the copy is opened: what was flushed is there, what was not is, for
 * each 512 bytes, old or new.
 */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { native } from '../../src/base/native/loader.js';
import { BlockState, blockBytes, type NativeOverlayFile, type OverlayFileOptions, OverlayReadNow } from '../../src/base/native/overlay.js';

const { base, data, zero, remote } = BlockState;
const sectorBytes = 512;
/** Three sectors of the map. The histories play around the borders of the sectors, so that blocks meet often. */
const blockCount = 1100;
const spots = [0, 500, 1012, blockCount - 16];
const sizeBytes = blockCount * blockBytes;

type Range = { offset: number; lengthBytes: number };
type Step =
  | ({ kind: 'write' | 'zero' | 'allocate' | 'trim' | 'read' } & Range)
  | { kind: 'fill'; block: number; count: number }
  | { kind: 'flush' | 'reopen' | 'crash' | 'crashInFlush' | 'take' };

const range: fc.Arbitrary<Range> = fc
  .record({
    spot: fc.constantFrom(...spots),
    block: fc.nat(12),
    byte: fc.oneof(fc.constant(0), fc.constantFrom(1, 512, 4095), fc.nat(4095)),
    blocks: fc.nat(4),
    bytes: fc.oneof(fc.constant(0), fc.constantFrom(1, 512, 4095), fc.nat(4095)),
  })
  .map(({ spot, block, byte, blocks, bytes }) => {
    const offset = (spot + block) * blockBytes + byte;
    return { offset, lengthBytes: Math.min(sizeBytes - offset, blocks * blockBytes + bytes) };
  });
const over = <Kind extends string>(kind: Kind, weight: number): fc.WeightedArbitrary<{ kind: Kind } & Range> => ({
  weight,
  arbitrary: range.map((one) => ({ kind, ...one })),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  over('write', 8),
  over('zero', 3),
  over('allocate', 1),
  over('trim', 3),
  over('read', 2),
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('fill' as const), block: fc.constantFrom(...spots.slice(0, 3)), count: fc.nat(14) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('flush', 'reopen', 'crash', 'crashInFlush', 'take') }) as fc.Arbitrary<Step> },
);

/** What is below: of the image, of the node that has remote blocks. No two blocks are alike. */
const belowOf = (state: number, block: number): Buffer => Buffer.alloc(blockBytes, (state === remote ? 0x80 : 0x40) | (block & 0x3f));
const nodeOf = (block: number): number => block % 3;

class History {
  /** As it must read now; each block's state; each block's contents since the last flush, the flushed first. */
  readonly content = Buffer.alloc(sizeBytes);
  readonly state = new Uint8Array(blockCount);
  readonly changed = new Uint8Array(blockCount);
  flushed = new Uint8Array(blockCount);
  readonly versions = new Map<number, Buffer[]>();
  payload = 0;
  crashes = 0;

  constructor(
    readonly options: OverlayFileOptions,
    public file: NativeOverlayFile,
  ) {}

  static async begin(directory: string, name: string): Promise<History> {
    const options = optionsAt(directory, name);
    const map = Uint8Array.from({ length: blockCount }, (_, block) => (block % 5 < 2 ? remote | (nodeOf(block) << 3) : base));
    await native.writeOverlayMap({ ...options, header: Buffer.alloc(0) }, map);
    const history = new History(options, native.openOverlayFile(options));
    for (const [block, byte] of map.entries()) history.state[block] = byte & 3;
    for (let block = 0; block < blockCount; block += 1) belowOf(history.state[block] ?? 0, block).copy(history.content, block * blockBytes);
    history.flushed = history.state.slice();
    history.file.trackChanges(true);
    return history;
  }

  blocksOf({ offset, lengthBytes }: Range): number[] {
    if (lengthBytes === 0) return [];
    const first = Math.floor(offset / blockBytes);
    return Array.from({ length: Math.floor((offset + lengthBytes - 1) / blockBytes) - first + 1 }, (_, index) => first + index);
  }

  at(block: number): Buffer {
    return this.content.subarray(block * blockBytes, (block + 1) * blockBytes);
  }

  remember(block: number): void {
    const versions = this.versions.get(block) ?? [];
    versions.push(Buffer.from(this.at(block)));
    this.versions.set(block, versions);
  }

  async change(
    where: Range,
    fill: number,
    call: (edges?: Uint8Array) => Promise<boolean>,
    stateAfter: (whole: boolean, before: number) => number,
  ) {
    const blocks = this.blocksOf(where);
    const first = blocks[0] ?? 0;
    const last = blocks.at(-1) ?? 0;
    const edges = Buffer.concat(first === last ? [this.at(first)] : [this.at(first), this.at(last)]);
    const isRagged = (block: number): boolean =>
      block * blockBytes < where.offset || (block + 1) * blockBytes > where.offset + where.lengthBytes;
    const needed = blocks.some((block) => isRagged(block) && (this.state[block] === base || this.state[block] === remote));
    if ((await call()) === needed) throw new Error(`edges were ${needed ? '' : 'not '}needed`);
    if (needed && !(await call(edges))) throw new Error('edges were given');
    for (const block of blocks) this.remember(block);
    this.content.fill(fill, where.offset, where.offset + where.lengthBytes);
    for (const block of blocks) this.become(block, stateAfter(!isRagged(block), this.state[block] ?? 0));
  }

  become(block: number, state: number): void {
    if (state !== zero || this.state[block] !== zero) this.changed[block] = 1;
    this.state[block] = state;
  }

  settleFlush(): void {
    this.flushed = this.state.slice();
    this.versions.clear();
  }

  async run(step: Step): Promise<void> {
    const { file } = this;
    switch (step.kind) {
      case 'write': {
        this.payload = (this.payload % 0x3f) + 1;
        const source = Buffer.alloc(step.lengthBytes, this.payload);
        return this.change(
          step,
          this.payload,
          (edges) => file.write(source, 0, source.length, step.offset, edges),
          () => data,
        );
      }
      case 'zero':
        return this.change(
          step,
          0,
          (edges) => file.zero(step.offset, step.lengthBytes, { allocate: false }, edges),
          (whole, before) => (whole || before === zero ? zero : data),
        );
      case 'allocate':
        return this.change(
          step,
          0,
          (edges) => file.zero(step.offset, step.lengthBytes, { allocate: true }, edges),
          () => data,
        );
      case 'trim': {
        await file.trim(step.offset, step.lengthBytes);
        for (const block of this.blocksOf(step)) {
          if (block * blockBytes < step.offset || (block + 1) * blockBytes > step.offset + step.lengthBytes) continue;
          this.remember(block);
          this.at(block).fill(0);
          this.become(block, zero);
        }
        return;
      }
      case 'fill': {
        const blocks = Array.from({ length: step.count }, (_, index) => step.block + index);
        const source = Buffer.concat(blocks.map((block) => belowOf(remote, block)));
        const stored = await file.fill(source, 0, source.length, step.block * blockBytes);
        const filled = blocks.filter((block) => this.state[block] === remote);
        if (stored !== filled.length * blockBytes) throw new Error('filled something else');
        for (const block of filled) this.state[block] = data;
        return;
      }
      case 'read':
        return this.compare(file, step);
      case 'take': {
        const map = Buffer.alloc(blockCount + 2, 0xee);
        file.copyMap(map, 1, 0, blockCount, true);
        for (let block = 0; block < blockCount; block += 1) {
          const state = this.state[block] ?? 0;
          const byte = state | (this.changed[block] === 1 ? 4 : 0) | (state === remote ? nodeOf(block) << 3 : 0);
          if (map[block + 1] !== byte) throw new Error(`block ${block} is ${map[block + 1]}, not ${byte}, in the copy`);
        }
        if (map[0] !== 0xee || map[blockCount + 1] !== 0xee) throw new Error('copied too much');
        this.changed.fill(0);
        return;
      }
      case 'flush':
        // One that has punched for a second leaves the rest to the next.
        do await file.flush();
        while (file.dirty);
        return this.settleFlush();
      case 'reopen':
        await file.flush();
        this.settleFlush();
        await file.close();
        this.file = native.openOverlayFile(this.options);
        this.changed.fill(0);
        this.file.trackChanges(true);
        return;
      default: {
        const flush = step.kind === 'crash' ? undefined : file.flush();
        this.crashes += 1;
        const copy = {
          ...this.options,
          dataPath: `${this.options.dataPath}-${this.crashes}`,
          mapPath: `${this.options.mapPath}-${this.crashes}`,
        };
        // The data first: a punch that the map does not tell of yet would be seen the other way round.
        copyFileSync(this.options.dataPath, copy.dataPath);
        copyFileSync(this.options.mapPath, copy.mapPath);
        await this.checkAfterCrash(copy, step.kind === 'crashInFlush');
        await flush;
        if (flush !== undefined) this.settleFlush();
      }
    }
  }

  async compare(file: NativeOverlayFile, { offset, lengthBytes }: Range): Promise<void> {
    const kinds = new Set(this.blocksOf({ offset, lengthBytes }).map((block) => this.state[block]));
    const isHere = !kinds.has(base) && !kinds.has(remote);
    const target = Buffer.alloc(lengthBytes, 0xee);
    const expected = this.content.subarray(offset, offset + lengthBytes);
    if ((await file.read(target, 0, lengthBytes, offset)) !== isHere) throw new Error('here or not');
    if (isHere && !target.equals(expected)) throw new Error('wrong bytes');
    const found = file.readNow(target.fill(0xee), 0, lengthBytes, offset);
    if (found === OverlayReadNow.hit && !(isHere && target.equals(expected))) throw new Error('wrong bytes now');
    if (found === OverlayReadNow.base && (kinds.size !== 1 || !kinds.has(base))) throw new Error('not all is base');
    if (found === OverlayReadNow.mixed && (isHere || (kinds.size === 1 && kinds.has(base)))) throw new Error('not mixed');
    if (file.isZero(offset, lengthBytes) !== [...kinds].every((kind) => kind === zero)) throw new Error('zero or not');
  }

  /** All of it: states, counters, contents. */
  async check(): Promise<void> {
    const bytes = [0, 0, 0, 0];
    for (const state of this.state) bytes[state] = (bytes[state] ?? 0) + blockBytes;
    const counted = [sizeBytes - this.file.dataBytes - this.file.zeroBytes - this.file.remoteBytes];
    counted.push(this.file.dataBytes, this.file.zeroBytes, this.file.remoteBytes);
    if (counted.join() !== bytes.join()) throw new Error(`counted ${counted}, not ${bytes}`);
    const changed = this.changed.reduce((sum, one) => sum + one, 0) * blockBytes;
    if (this.file.changedBytes !== changed) throw new Error(`${this.file.changedBytes} changed, not ${changed}`);
    for (let block = 0; block < blockCount; block += 1) await this.checkBlock(this.file, block, [this.state[block] ?? 0]);
  }

  async checkBlock(file: NativeOverlayFile, block: number, allowed: number[]): Promise<number> {
    const [state = 0, node] = file.runs(block * blockBytes, blockBytes, 1);
    if (!allowed.includes(state)) throw new Error(`block ${block} is in state ${state}, not ${allowed}`);
    if (state === remote && node !== nodeOf(block)) throw new Error(`block ${block} is at node ${node}`);
    if (spots.some((spot) => block >= spot && block < spot + 20) && file === this.file) {
      await this.compare(file, { offset: block * blockBytes, lengthBytes: blockBytes });
    }
    return state;
  }

  async checkAfterCrash(copy: OverlayFileOptions, inFlush: boolean): Promise<void> {
    const file = native.openOverlayFile(copy);
    const target = Buffer.alloc(blockBytes);
    for (let block = 0; block < blockCount; block += 1) {
      const allowed = [this.flushed[block] ?? 0, ...(inFlush ? [this.state[block] ?? 0] : [])];
      const state = await this.checkBlock(file, block, allowed);
      if (state !== data) continue;
      const versions = [...(this.versions.get(block) ?? []), this.at(block)];
      if (!(await file.read(target, 0, blockBytes, block * blockBytes))) throw new Error('data that are not there');
      for (let at = 0; at < blockBytes; at += sectorBytes) {
        const sector = target.subarray(at, at + sectorBytes);
        if (!versions.some((version) => version.subarray(at, at + sectorBytes).equals(sector))) {
          throw new Error(`bytes ${at} of block ${block} are neither old nor new`);
        }
      }
    }
    await file.close();
  }
}

function optionsAt(directory: string, name: string): OverlayFileOptions {
  return {
    dataPath: join(directory, `${name}.data`),
    mapPath: join(directory, `${name}.map`),
    sizeBytes,
    recordsOffset: 512,
    recordSeed: 77,
  };
}

t.test('any history reads as its model, and a crash loses nothing that was flushed', async (t) => {
  const directory = t.testdir();
  let runIndex = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      runIndex += 1;
      const history = await History.begin(directory, `${runIndex}`);
      try {
        for (const one of steps) await history.run(one);
        await history.check();
        await history.run({ kind: 'reopen' });
        await history.check();
      } finally {
        await history.file.close();
      }
    }),
    { numRuns: 40 },
  );
});
