/** Explores all worlds that follow from a first one, breadth first, so the way to a violation is a shortest one. */
import { actionsOf } from './action.js';
import { CalmRuns, violationOf } from './check.js';
import type { NodeHands, Turn } from './hands.js';
import { crashed, spend, type World } from './world.js';

export interface Exploration {
  first: World;
  rules?: Turn['rules'];
  /** Ends the exploration early; absent: it goes on to the end. */
  maxWorlds?: number;
}

export interface Explored {
  worldCount: number;
  /** True if every world was looked at. */
  isWhole: boolean;
  violation?: string | undefined;
  /** Labels of the actions that lead to the violation. */
  way?: string[] | undefined;
}

export async function explore({ first, rules, maxWorlds = Number.POSITIVE_INFINITY }: Exploration): Promise<Explored> {
  const turn: Turn = { rules };
  const calm = new CalmRuns(turn, hashOf);
  const known = new Set<number>([hashOf(first)]);
  const parents: number[] = [-1];
  const labels: string[] = [''];
  let front: { world: World; at: number }[] = [{ world: first, at: 0 }];
  let violation: string | undefined;
  let last = 0;
  const wayTo = (at: number): string[] => (at <= 0 ? [] : [...wayTo(parents[at] ?? -1), labels[at] ?? '']);
  const visit = async (world: World, from: number, label: string, next: typeof front): Promise<boolean> => {
    const hash = hashOf(world);
    if (known.has(hash)) return true;
    known.add(hash);
    parents.push(from);
    labels.push(intern(label));
    last = parents.length - 1;
    violation = violationOf(world) ?? (await calm.violationOf(world));
    next.push({ world, at: last });
    return violation === undefined;
  };
  while (front.length > 0) {
    const next: typeof front = [];
    for (const { world, at } of front) {
      const made: { hands?: NodeHands | undefined } = {};
      for (const action of actionsOf(world, made)) {
        made.hands = undefined;
        const after = await action.run({ ...turn });
        const hands = made.hands as NodeHands | undefined;
        if (!(await visit(after, at, action.label, next))) return end();
        const count = hands?.lastingCount ?? 0;
        if (action.node === undefined || count === 0) continue;
        for (let crashAfter = 1; world.budget.crashes > 0 && crashAfter < count; crashAfter += 1) {
          await action.run({ ...turn, crashAfter });
          const { atCrash } = made.hands as unknown as NodeHands;
          if (atCrash === undefined) continue;
          const left = spend(crashed(atCrash, action.node), 'crashes');
          if (!(await visit(left, at, `${action.label}; it crashes after effect ${crashAfter}`, next))) return end();
        }
        if (world.budget.faults === 0 || hands === undefined || !hands.hasPersisted) continue;
        const failed = spend(await action.run({ ...turn, failsToPersist: true }), 'faults');
        if (failed.budget.faults >= 0 && !(await visit(failed, at, `${action.label}; its file can't be written`, next))) return end();
      }
      if (known.size > maxWorlds) return end();
    }
    front = next;
  }
  return end();

  function end(): Explored {
    const found = { worldCount: known.size, isWhole: front.length === 0 };
    return violation === undefined ? found : { ...found, violation, way: wayTo(last) };
  }
}

const interned = new Map<string, string>();

function intern(label: string): string {
  const known = interned.get(label);
  if (known !== undefined) return known;
  interned.set(label, label);
  return label;
}

/** Hashes of parts that worlds share. */
const hashes = new WeakMap<object, readonly [number, number]>();

/** 53 bits: of ten million worlds two have the same with a chance of one in two hundred. */
export function hashOf({ nodes, messages, budget, cut, kept, lastVersion, hasForced }: World): number {
  const { takes, faults, crashes, forces, writes } = budget;
  let low = takes + 8 * (faults + 8 * (crashes + 8 * (forces + 8 * (writes + 8 * (kept + 16 * lastVersion)))));
  let high = hasForced ? 1 : 2;
  high = high * 8 + (cut === undefined ? 7 : cut.charCodeAt(0) & 3);
  const mix = (part: object): void => {
    const [partLow, partHigh] = partHash(part);
    low = Math.imul(low ^ partLow, 0x01000193);
    low ^= low >>> 13;
    high = Math.imul(high ^ partHigh, 0x5bd1e995);
    high ^= high >>> 15;
  };
  for (const node of [nodes.A, nodes.B, nodes.C]) {
    mix(node);
    mix(node.driver);
  }
  for (const message of messages) mix(message);
  return (low >>> 0) * 0x200000 + (high >>> 11);
}

function partHash(part: object): readonly [number, number] {
  const known = hashes.get(part);
  if (known !== undefined) return known;
  // A driver has a hash of its own: most changes of a node leave it as it is.
  const made = textHash(JSON.stringify('driver' in part ? { ...part, driver: undefined } : part));
  hashes.set(part, made);
  return made;
}

function textHash(text: string): readonly [number, number] {
  let low = 0x811c9dc5;
  let high = 0x1b873593;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    low = Math.imul(low ^ code, 0x01000193);
    high = Math.imul(high ^ code, 0x5bd1e995);
    high ^= high >>> 15;
  }
  return [low, high];
}
