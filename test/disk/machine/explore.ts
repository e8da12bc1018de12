/**
 * Explores all worlds that follow from a first one, breadth first, so the way to a violation is a
 * shortest one.
 *
 * Each world has at most one calm successor: the world that follows if no further fault happens.
 * The explorer notes it, so a calm run is a walk over worlds that are known already.
 */
import { type Action, actionsOf } from './action.js';
import { calmViolationOf, endViolationOf, violationOf } from './check.js';
import type { NodeHands, Turn } from './hands.js';
import { hashOf } from './hash.js';
import { type Budget, crashed, firstWorld, type Space, spend, type World } from './world.js';
import { WorldIndex } from './world-index.js';

export interface Exploration {
  space: Space;
  rules?: Turn['rules'];
  /** Count of worlds at which the exploration ends early; absent: it goes on to the end. */
  maxWorlds?: number;
}

export interface Explored {
  worldCount: number;
  /** Count of worlds that were found and whose successors were not looked at. */
  frontierCount: number;
  /** True if every world was looked at. */
  isWhole: boolean;
  violation?: string | undefined;
  /** Labels of the actions that lead to the violation. */
  way?: string[] | undefined;
}

interface Found {
  world: World;
  at: number;
}

/** Value of a calm successor that is not known, because the world itself was not looked at. */
const unknown = -1;
/** Value of a calm successor where the run ends, and ends well. */
const good = -2;
/** Ends of labels. */
const crash = '; it crashes after effect ';
const unwritten = "; its file can't be written";
const unopened = "; its files can't be opened";
const closed = '; its files can never be opened';

export async function explore({ space, rules, maxWorlds }: Exploration): Promise<Explored> {
  const first = await beginning(space, { rules });
  return await new Explorer(first, rules, maxWorlds).run();
}

class Explorer {
  readonly #first: World;
  readonly #turn: Turn;
  readonly #maxWorlds: number;
  readonly #index = new WorldIndex();
  readonly #parents: number[] = [-1];
  readonly #labels: string[] = [''];
  /** Number of the calm successor of each world. */
  readonly #calm: number[] = [unknown];
  #front: Found[];
  #next: Found[] = [];
  #violation: { text: string; at: number } | undefined;

  constructor(first: World, rules: Turn['rules'], maxWorlds = Number.POSITIVE_INFINITY) {
    this.#first = first;
    this.#turn = { rules };
    this.#maxWorlds = maxWorlds;
    this.#index.add(hashOf(first));
    this.#front = [{ world: first, at: 0 }];
  }

  async run(): Promise<Explored> {
    while (this.#front.length > 0 && this.#violation === undefined && this.#index.size <= this.#maxWorlds) {
      for (const found of this.#front) {
        await this.#expand(found);
        if (this.#violation !== undefined || this.#index.size > this.#maxWorlds) break;
      }
      if (this.#index.size <= this.#maxWorlds) {
        this.#front = this.#next;
        this.#next = [];
      }
    }
    if (this.#violation === undefined) await this.#checkCalmRuns();
    const frontierCount = this.#front.length + this.#next.length;
    const explored = { worldCount: this.#index.size, frontierCount, isWhole: frontierCount === 0 };
    if (this.#violation === undefined) return explored;
    const { text, at } = this.#violation;
    return { ...explored, violation: text, way: this.#wayTo(at) };
  }

  async #expand({ world, at }: Found): Promise<void> {
    const last: { hands?: NodeHands | undefined } = {};
    const actions = actionsOf(world, last);
    const calmest = calmestOf(actions);
    if (calmest === undefined) {
      this.#calm[at] = good;
      this.#judge(endViolationOf(world), at);
    }
    for (const action of actions) {
      if (this.#violation !== undefined) return;
      last.hands = undefined;
      const after = await action.run({ ...this.#turn });
      const number = this.#visit(after, at, action.label);
      if (action === calmest) this.#calm[at] = number;
      const hands = last.hands as NodeHands | undefined;
      if (hands !== undefined && action.node !== undefined) await this.#fail(world, at, action, hands, last);
    }
  }

  /** Crashes of the node in the middle of the action, and a file that can't be written. */
  async #fail(world: World, at: number, action: Action, hands: NodeHands, last: { hands?: NodeHands | undefined }): Promise<void> {
    const { node, label } = action;
    if (node === undefined) return;
    for (let crashAfter = 1; world.budget.crashes > 0 && crashAfter < hands.lastingCount; crashAfter += 1) {
      await action.run({ ...this.#turn, crashAfter });
      const { atCrash } = last.hands as unknown as NodeHands;
      if (atCrash === undefined) continue;
      this.#visit(spend(crashed(atCrash, node), 'crashes'), at, `${label}${crash}${crashAfter}`);
    }
    // The action itself may be a failure, which has used the budget up.
    if (hands.world.budget.breaks === 0) return;
    for (const [fails, can, text] of [
      ['persist', hands.hasPersisted, unwritten],
      ['open', hands.hasOpened, unopened],
      ['opens', hands.hasOpened || hands.hasPersisted, closed],
    ] as const)
      if (can) this.#visit(spend(await action.run({ ...this.#turn, fails }), 'breaks'), at, label + text);
  }

  /** @returns the number of the world */
  #visit(world: World, from: number, label: string): number {
    const number = this.#index.add(hashOf(world));
    if (number >= 0) return number;
    const at = ~number;
    this.#parents.push(from);
    this.#labels.push(intern(label));
    this.#calm.push(unknown);
    this.#judge(violationOf(world), at);
    this.#next.push({ world, at });
    return at;
  }

  #judge(text: string | undefined, at: number): void {
    if (text !== undefined) this.#violation ??= { text, at };
  }

  /** Every calm run ends. One that leaves the known worlds, or returns to itself, is played. */
  async #checkCalmRuns(): Promise<void> {
    const open = new Map([...this.#front, ...this.#next].map(({ world, at }) => [at, world]));
    const isGood = new Uint8Array(this.#calm.length);
    for (let first = 0; first < this.#calm.length; first += 1) {
      const walk: number[] = [];
      const onWalk = new Set<number>();
      let at = first;
      while (at >= 0 && isGood[at] === 0 && !onWalk.has(at)) {
        walk.push(at);
        onWalk.add(at);
        const next = this.#calm[at] ?? unknown;
        if (next === unknown) break;
        at = next;
      }
      if (at >= 0 && isGood[at] === 0) {
        const text = await calmViolationOf(open.get(at) ?? (await this.#replay(at)), this.#turn);
        if (text !== undefined) {
          this.#violation = { text, at };
          return;
        }
      }
      for (const each of walk) isGood[each] = 1;
    }
  }

  /** The world of that number, made again along its way. */
  async #replay(at: number): Promise<World> {
    if (at === 0) return this.#first;
    const before = await this.#replay(this.#parents[at] ?? 0);
    const label = this.#labels[at] ?? '';
    const world = await follow(before, label, this.#turn);
    if (world === undefined) throw new Error(`no action leads to "${label}"`);
    return world;
  }

  #wayTo(at: number): string[] {
    return at <= 0 ? [] : [...this.#wayTo(this.#parents[at] ?? -1), this.#labels[at] ?? ''];
  }
}

/** Plays the action with that label, and the fault in it. @returns the next world; `undefined` if there is no such action */
async function follow(world: World, label: string, turn: Turn): Promise<World | undefined> {
  const last: { hands?: NodeHands | undefined } = {};
  for (const action of actionsOf(world, last)) {
    if (!label.startsWith(action.label)) continue;
    const fault = label.slice(action.label.length);
    if (fault === '') return await action.run({ ...turn });
    if (fault === unwritten) return spend(await action.run({ ...turn, fails: 'persist' }), 'breaks');
    if (fault === unopened) return spend(await action.run({ ...turn, fails: 'open' }), 'breaks');
    if (fault === closed) return spend(await action.run({ ...turn, fails: 'opens' }), 'breaks');
    if (!fault.startsWith(crash) || action.node === undefined) continue;
    await action.run({ ...turn, crashAfter: Number(fault.slice(crash.length)) });
    const atCrash = last.hands?.atCrash;
    if (atCrash !== undefined) return spend(crashed(atCrash, action.node), 'crashes');
  }
  return undefined;
}

/** The first world of a space, after what has happened before. A broken table may lead elsewhere. */
async function beginning({ budget, after = [], setting = {} }: Space, turn: Turn): Promise<World> {
  const plenty = Object.fromEntries(Object.keys(budget).map((name) => [name, 7])) as unknown as Budget;
  let world = firstWorld({ budget: plenty, setting });
  for (const label of after) world = (await follow(world, label, turn)) ?? world;
  return { ...world, budget };
}

/** The first of the actions that happen without further faults. */
export function calmestOf(actions: readonly Action[]): Action | undefined {
  let calmest: Action | undefined;
  for (const action of actions)
    if (action.calm !== undefined && (calmest?.calm === undefined || action.calm < calmest.calm)) calmest = action;
  return calmest;
}

const interned = new Map<string, string>();

function intern(label: string): string {
  const known = interned.get(label);
  if (known !== undefined) return known;
  interned.set(label, label);
  return label;
}
