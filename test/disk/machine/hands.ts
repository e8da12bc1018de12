/**
 * The hands of one node of a world: they carry out the machine's effects on plain values, under the real driver.
 *
 * An effect that takes time ends by an action of its own (`action.ts`), so anything may come in between. A crash may
 * come after each effect that leaves something behind.
 */
import { Driver, type Hands, underWay } from '../../../src/disk/owner/driver.js';
import type { RuleIndex } from '../../../src/disk/owner/machine.js';
import { isGrantedTo } from '../../../src/disk/owner/rule.js';
import type { Effect, Event, Facts, Ownership, Work } from '../../../src/disk/owner/state.js';
import {
  edit,
  type Id,
  ids,
  isOwner,
  type Message,
  type Method,
  type ModelHandover,
  type Node,
  reaches,
  ref,
  type World,
} from './world.js';

/** Effects after which a crash leaves another world than before them. */
const lasting = new Set(['persist', 'refuse', 'hold', 'removeFolder', 'fence', 'readmit', 'ask', 'reply', 'reject']);

export interface Turn {
  /** The crash comes after so many lasting effects; absent: it does not come. */
  crashAfter?: number | undefined;
  /** The next effect of that kind fails; `opens`: each attempt to open the files. */
  fails?: 'persist' | 'open' | 'opens' | undefined;
  rules?: RuleIndex | undefined;
}

export class NodeHands implements Hands {
  world: World;
  lastingCount = 0;
  hasPersisted = false;
  hasOpened = false;
  #hasFailed = false;
  /** The world at the crash: what the process would have done after it is not done. */
  atCrash: World | undefined;
  readonly #id: Id;
  readonly #driver: Driver;
  readonly #turn: Turn;

  constructor(world: World, id: Id, turn: Turn) {
    this.world = world;
    this.#id = id;
    this.#turn = turn;
    this.#driver = new Driver(this, this.#node.driver, turn.rules);
  }

  dispatch(event: Event): World {
    if (event.kind === 'want') this.#edit({ waiting: sorted([...this.#node.waiting, `${event.work.kind} ${event.work.id}`]) });
    return this.#during(() => this.#driver.dispatch(event));
  }

  ended(key: string, answer?: unknown): World {
    return this.#during(() => this.#driver.ended(key, answer));
  }

  failed(key: string, error: string): World {
    return this.#during(() => this.#driver.failed(key, error));
  }

  #during(work: () => void): World {
    work();
    this.#edit({ driver: this.#driver.state });
    return this.world;
  }

  get #node(): Node {
    return this.world.nodes[this.#id];
  }

  #edit(change: Partial<Node>): void {
    this.world = edit(this.world, this.#id, change);
  }

  facts(): Facts {
    const { file, isOpen, heldEpoch, refusedEpoch, force, told } = this.#node;
    const { setting } = this.world;
    const held = file === undefined || file.state === 'incoming' ? heldEpoch : Math.max(heldEpoch, file.epoch);
    return {
      file: isOpen ? file : undefined,
      hasFiles: file !== undefined,
      heldEpoch: held,
      refusedEpoch,
      force,
      told: told && { epoch: told.epoch, owner: ref(told.owner) },
      selfId: setting.isAlone === true && this.#id !== 'A' ? undefined : this.#id,
      isExplicit: setting.isExplicit === true,
      isLossy: setting.isLossy === true && this.#id !== 'A',
      hasSnapshots: setting.hasSnapshots === true && this.#id === 'A',
    };
  }

  perform(effect: Effect, key: string, work: Work): unknown {
    const result = this.#perform(effect, key, work);
    if (lasting.has(effect.kind)) {
      this.lastingCount += 1;
      if (this.lastingCount === this.#turn.crashAfter) this.atCrash = this.world;
    }
    return result;
  }

  #perform(effect: Effect, key: string, work: Work): unknown {
    const node = this.#node;
    switch (effect.kind) {
      case 'persist':
        return this.#persist(effect);
      case 'refuse':
        return this.#edit({ refusedEpoch: Math.max(node.refusedEpoch, effect.epoch) });
      case 'hold': {
        const { file } = node;
        if (file === undefined || !node.isOpen) return undefined;
        const to = file.state === 'granted' ? (file.to?.id as Id) : undefined;
        return this.#edit({ heldEpoch: Math.max(node.heldEpoch, file.epoch), grant: to && { epoch: file.epoch, to } });
      }
      case 'open':
      case 'reopen':
        return this.#open();
      case 'work':
        return this.#work(work);
      case 'check':
        // An operator removes what no other node may need.
        if (work.epoch === undefined && node.file?.to?.free !== true) throw new Error('the files are needed');
        return undefined;
      case 'reopenLater':
        return this.#edit({ isReopening: true });
      case 'endCopy':
        return work.kind === 'remove' ? underWay : undefined;
      case 'announce':
        if (isOwner(node) && (node.file?.epoch ?? 0) > this.world.index.epoch)
          this.world = { ...this.world, index: { owner: this.#id, epoch: node.file?.epoch ?? 0 } };
        return undefined;
      case 'prepareForce':
        return this.#edit({ synced: node.block, inherited: undefined });
      case 'letGo':
        return this.#edit({ isOpen: false, isLeft: true });
      case 'removeFolder':
        if (!node.isLeft) return undefined;
        return this.#edit({ file: undefined, table: {}, block: { byte: 0, version: 0 }, synced: { byte: 0, version: 0 }, isLeft: false });
      case 'fence':
        return this.#edit({ fences: sorted([...node.fences, effect.epoch ?? 0]) });
      case 'readmit':
        return this.#edit({ fences: node.fences.filter((epoch) => epoch !== effect.epoch) });
      case 'closeGate':
      case 'holdGate':
        this.#edit({ gate: sorted([...node.gate, key]), areLanesDue: effect.kind === 'closeGate' || node.areLanesDue });
        return effect.kind === 'closeGate' ? underWay : undefined;
      case 'openGate':
        this.#edit({ gate: node.gate.filter((other) => other !== key) });
        return this.#lanesFollow();
      case 'refreshLanes':
        if (effect.isAwaited !== true) return this.#lanesFollow();
        this.#edit({ areLanesDue: true });
        return underWay;
      case 'loseLease':
        return this.#edit({ lanes: 0 });
      case 'flush':
      case 'settleLease':
      case 'inherit':
      case 'prove':
        return underWay;
      case 'settleLater':
        return this.#edit({ isSettling: true });
      case 'startCompletion':
        return this.#edit({ isCompleting: isOwner(node) && Object.keys(node.table).length > 0 });
      case 'stopCompletion':
        return this.#edit({ isCompleting: false });
      case 'ask':
        return this.#ask(effect, key);
      case 'reply':
        this.#heard(work);
        return this.#reply(effect, work);
      case 'reject':
        this.#heard(work);
        return this.#answer(work.id, { error: String(effect.why) });
      default:
        // Copies, snapshots, leases, views and logs are no part of this world.
        return undefined;
    }
  }

  /** Lanes may do more at once. They take their time to do less. */
  #lanesFollow(): void {
    const node = this.#node;
    const lanes = lanesOf(node);
    if (node.areLanesDue || lanes < node.lanes) this.#edit({ areLanesDue: true });
    else this.#edit({ lanes });
  }

  #isToFail(kind: 'persist' | 'open'): boolean {
    if (this.#turn.fails === 'opens') return kind === 'open';
    if (this.#turn.fails !== kind || this.#hasFailed) return false;
    this.#hasFailed = true;
    return true;
  }

  #open(): void {
    const node = this.#node;
    if (node.file === undefined || node.isOpen) return;
    this.hasOpened = true;
    if (this.#isToFail('open')) throw new Error('the files can not be opened');
    this.#edit({ isOpen: true, isLeft: false, inherited: undefined });
  }

  #work({ kind }: Work): unknown {
    const node = this.#node;
    if (kind === 'still' || kind === 'replace') return underWay;
    if (kind !== 'receive') return this.#open();
    if (node.isOpen) return 'same';
    if (node.file === undefined) this.#edit({ file: { state: 'incoming', epoch: 1 } });
    return this.#open();
  }

  #persist({ file: change, without }: Extract<Effect, { kind: 'persist' }>): void {
    if (this.#isToFail('persist')) throw new Error('no space');
    this.hasPersisted = true;
    const node = this.#node;
    const before = node.file;
    const file: Ownership = JSON.parse(JSON.stringify({ ...(before ?? { state: 'owner', epoch: 1 }), ...change }));
    const { inherited } = node;
    const { [without ?? '']: _released, ...table } = inherited?.table ?? node.table;
    const block = inherited?.block ?? node.block;
    // A new map names what was durable before it; a change without a map leaves unsynced writes unsynced.
    const synced = inherited === undefined ? node.synced : block;
    this.#edit({ file, table, block, synced, inherited: undefined, gave: gaveBy(node, before, file, change) });
    if (change.forced !== undefined && change.by === undefined) this.#force();
  }

  /** The operator gives up what only the lost owner has. */
  #force(): void {
    const { block } = this.#node;
    const found = readable(this.world, this.#id, block);
    this.world = { ...this.world, hasForced: true, kept: Math.min(this.world.kept, found) };
    this.#edit({ synced: block });
  }

  #ask(effect: Extract<Effect, { kind: 'ask' }>, key: string): unknown {
    const epoch = effect.method === 'handover' ? 0 : effect.epoch;
    const to = effect.method === 'handover' ? locate(this.world, this.#id) : (effect.node.id as Id);
    if (to === undefined || to === this.#id) throw new Error('no owner answers');
    this.#send({ method: effect.method, to, epoch, key });
    return underWay;
  }

  #send({ method, to, epoch, key }: { method: Method; to: Id; epoch: number; key: string }): void {
    const name = `${this.#id}>${to} ${method} ${epoch}`;
    const copies = this.world.messages.filter(({ id }) => id.startsWith(name)).length;
    const id = copies === 0 ? name : `${name} #${copies}`;
    const message: Message = { id, from: this.#id, to, method, epoch, key, phase: 'request', isLate: false };
    this.world = { ...this.world, messages: [...this.world.messages, message].sort(byId) };
  }

  #reply(effect: Extract<Effect, { kind: 'reply' }>, work: Work): void {
    const { file, table, heardEpoch } = this.#node;
    if (effect.answer === 'handover') {
      const handover: ModelHandover | undefined = isGrantedTo(file, work.node?.id ?? '')
        ? { epoch: (file?.epoch ?? 0) + 1, forced: file?.forced, nodes: table }
        : undefined;
      this.#answer(work.id, handover === undefined ? { error: 'not owner' } : { value: handover });
    } else if (work.kind === 'release' && effect.answer === 'answer') {
      // The service goes on with the removal.
      this.#driver.dispatch({ kind: 'want', work: { kind: 'remove', id: work.id, epoch: work.epoch } });
    } else {
      if (work.kind === 'claim' && work.answer === 'proven') this.#edit({ heardEpoch: Math.max(heardEpoch, work.epoch ?? 0) });
      this.#answer(work.id, { value: effect.answer });
    }
  }

  #heard({ kind, id }: Work): void {
    this.#edit({ waiting: this.#node.waiting.filter((other) => other !== `${kind} ${id}`) });
  }

  #answer(id: string, answer: NonNullable<Message['answer']>): void {
    const messages = this.world.messages.flatMap((message): Message[] => {
      if (message.id !== id || message.phase !== 'served') return [message];
      return message.isLate ? [] : [{ ...message, phase: 'reply', answer }];
    });
    this.world = { ...this.world, messages };
  }
}

/** What lanes of a node may do as things are. */
export function lanesOf(node: Node): number {
  if (!isOwner(node)) return 0;
  return node.gate.length === 0 ? 2 : 1;
}

/** Handovers for which clients of the node have to stay out. */
function gaveBy({ gave }: Node, before: Ownership | undefined, after: Ownership, change: Partial<Ownership>): readonly number[] {
  if (before?.state === 'owner' && after.state === 'granted') return sorted([...gave, after.to?.free === true ? 0 : before.epoch + 1]);
  // Undone: the clients of before go on.
  const isUndone = change.state === 'owner' && change.by === undefined && change.forced === undefined;
  if (before?.state === 'granted' && isUndone) return gave.filter((epoch) => epoch !== before.epoch + 1);
  return gave;
}

/** The version that a node reads with that block. */
export function readable(world: World, id: Id, block: { byte: number; version: number }): number {
  const state = block.byte & 0b11;
  if (state === 1) return block.version;
  if (state !== 3) return 0;
  const from = world.nodes[id].table[block.byte >> 3]?.id as Id | undefined;
  return from === undefined || world.nodes[from].file === undefined ? 0 : world.nodes[from].block.version;
}

/** The node that is asked for the disk, as `DiskSearch` finds it: the latest owner, or who granted it to this node. */
function locate(world: World, selfId: Id): Id | undefined {
  const told = world.nodes[selfId].told;
  const found = ids.flatMap((id) => {
    const { file, isOpen } = world.nodes[id];
    if (id === selfId || !reaches(world, selfId, id) || !isOpen || file === undefined) return [];
    if (file.state === 'owner') return [{ id, epoch: file.epoch }];
    return file.state === 'granted' && file.to?.id === selfId ? [{ id, epoch: file.epoch + 1 }] : [];
  });
  const [best] = found.sort((left, right) => right.epoch - left.epoch);
  return best === undefined || best.epoch < (told?.epoch ?? 0) ? undefined : best.id;
}

function sorted<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)].sort();
}

function byId(left: Message, right: Message): number {
  return left.id < right.id ? -1 : 1;
}
