/** Maps that are inherited along any chain of owners, against a model that knows who has which version of each block. */
import fc from 'fast-check';
import t from 'tap';
import { inheritMap } from '../../../src/disk/hosted/inherited-map.js';
import type { OwnerState } from '../../../src/disk/protocol/record.js';

const blockCount = 12;
const ids = ['A', 'B', 'C', 'D'];
const changedBit = 4;

/** A node's overlay: its map, and the version of each block that lies in its file. */
interface Overlay {
  states: Uint8Array;
  versions: number[];
}

class Chain {
  owner = 'A';
  epoch = 1;
  nodes: OwnerState['nodes'] = {};
  readonly overlays = new Map<string, Overlay>([['A', blank()]]);
  /** Of each block: 0 base, -1 zeros, else the version that was written last. */
  readonly truth: number[] = new Array(blockCount).fill(0);
  #lastVersion = 0;

  get here(): Overlay {
    return this.#overlay(this.owner);
  }

  #overlay(id: string): Overlay {
    const found = this.overlays.get(id);
    if (found === undefined) throw new Error(`${id} has no overlay`);
    return found;
  }

  write(block: number): void {
    this.#lastVersion += 1;
    this.truth[block] = this.#lastVersion;
    this.here.versions[block] = this.#lastVersion;
    this.here.states[block] = 1 | changedBit;
  }

  zero(block: number): void {
    this.truth[block] = -1;
    this.here.states[block] = 2 | changedBit;
  }

  /** Blocks of others arrive: not a change. */
  fill(block: number): void {
    const byte = this.here.states[block] ?? 0;
    if ((byte & 3) !== 3) return;
    this.here.versions[block] = this.#versionAt(this.nodes[byte >> 3]?.id ?? '', block);
    this.here.states[block] = 1 | (byte & changedBit);
  }

  #versionAt(id: string, block: number): number {
    const { states, versions } = this.#overlay(id);
    if (((states[block] ?? 0) & 3) !== 1) throw new Error(`${id} does not have block ${block}`);
    return versions[block] ?? 0;
  }

  /** All is here: the others let go of theirs. */
  complete(): void {
    for (let block = 0; block < blockCount; block += 1) this.fill(block);
    for (const { id } of Object.values(this.nodes)) this.overlays.delete(id);
    this.nodes = {};
  }

  /** @param copied blocks that a copy made ahead has, which is followed until `changed` are written at the giver */
  handTo(to: string, copied: ReadonlySet<number> | undefined, changed: number[]): void {
    const { states } = this.here;
    for (let block = 0; block < blockCount; block += 1) states[block] = (states[block] ?? 0) & ~changedBit;
    const isOld = this.overlays.has(to);
    const target = this.overlays.get(to) ?? blank();
    if (copied !== undefined) this.#copyAhead(to, target, copied);
    for (const block of changed) this.write(block);
    const own =
      isOld || copied !== undefined ? { states: target.states, replicated: (block: number) => copied?.has(block) ?? false } : undefined;
    const giver = { id: this.owner, address: `${this.owner}:1`, epoch: this.epoch };
    const inherited = inheritMap({ states, nodes: this.nodes, giver, selfId: to, own });
    this.overlays.set(to, { states: inherited.states, versions: target.versions });
    this.nodes = inherited.nodes;
    this.owner = to;
    this.epoch += 1;
  }

  /** As a replica does it. */
  #copyAhead(to: string, target: Overlay, copied: ReadonlySet<number>): void {
    const selfIndex = Number(Object.entries(this.nodes).find(([, { id }]) => id === to)?.[0] ?? -1);
    for (const block of copied) {
      const byte = this.here.states[block] ?? 0;
      if (byte === 0 || ((byte & 3) === 3 && byte >> 3 === selfIndex)) continue;
      target.states[block] = (byte & 3) === 1 ? 1 : 2;
      if ((byte & 3) === 1) target.versions[block] = this.here.versions[block] ?? 0;
    }
  }

  check(): void {
    for (let block = 0; block < blockCount; block += 1) {
      const byte = this.here.states[block] ?? 0;
      const state = byte & 3;
      let version = 0;
      if (state === 2) version = -1;
      if (state === 1) version = this.here.versions[block] ?? 0;
      if (state === 3) {
        const id = this.nodes[byte >> 3]?.id ?? 'nobody';
        if (id === this.owner) throw new Error(`block ${block} is said to be at the owner itself`);
        version = this.#versionAt(id, block);
      }
      if (version !== this.truth[block]) throw new Error(`block ${block} reads as ${version}, not ${this.truth[block]}`);
    }
    const names = Object.values(this.nodes).map(({ id }) => id);
    if (new Set(names).size !== names.length) throw new Error(`somebody is named twice: ${names.join(' ')}`);
  }
}

function blank(): Overlay {
  return { states: new Uint8Array(blockCount), versions: new Array(blockCount).fill(0) };
}

const block = fc.nat(blockCount - 1);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('write' as const), block }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('zero' as const), block }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('fill' as const), block }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('complete' as const) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('hand' as const),
      to: fc.constantFrom(...ids),
      copied: fc.option(fc.uniqueArray(block), { nil: undefined }),
      changed: fc.uniqueArray(block, { maxLength: 3 }),
    }),
  },
);

t.test('every block is found where its last version is', (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const chain = new Chain();
      for (const one of steps) {
        if (one.kind === 'write') chain.write(one.block);
        if (one.kind === 'zero') chain.zero(one.block);
        if (one.kind === 'fill') chain.fill(one.block);
        if (one.kind === 'complete') chain.complete();
        if (one.kind === 'hand' && one.to !== chain.owner) chain.handTo(one.to, one.copied && new Set(one.copied), one.changed);
        chain.check();
      }
    }),
    { numRuns: 2000 },
  );
  t.end();
});

t.test('a giver that believes in what is not here', (t) => {
  const states = Uint8Array.of(3 | (1 << 3));
  const nodes = { 1: { id: 'B', address: 'B:1', epoch: 1 } };
  const giver = { id: 'A', address: 'A:1', epoch: 2 };
  t.throws(() => inheritMap({ states, nodes, giver, selfId: 'B' }), { code: 'ERR_DISK_BROKEN' });
  t.throws(() => inheritMap({ states, nodes, giver, selfId: 'B', own: { states: Uint8Array.of(2), replicated: () => true } }), {
    code: 'ERR_DISK_BROKEN',
  });
  t.end();
});

t.test('blocks on more nodes than a map can name', (t) => {
  const nodes: OwnerState['nodes'] = {};
  for (let index = 1; index <= 31; index += 1) nodes[index] = { id: `n${index}`, address: `n${index}:1`, epoch: index };
  const states = new Uint8Array(1);
  const giver = { id: 'A', address: 'A:1', epoch: 40 };
  t.throws(() => inheritMap({ states, nodes, giver, selfId: 'B' }), { code: 'ERR_DISK_INCOMPLETE' });
  // The one that comes back leaves its place to the giver.
  t.same(inheritMap({ states, nodes, giver, selfId: 'n7' }).nodes[7], giver);
  t.end();
});
