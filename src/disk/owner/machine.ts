/**
 * Ownership of one disk on one node, as a pure machine: `step(state, event)` answers with the next
 * state and the effects that lead there. It does nothing itself. No other code decides about
 * ownership.
 *
 * The durable part of a state is what `owner.json` and the notes say:
 *
 * | state | meaning | leaves by |
 * | --- | --- | --- |
 * | absent | no files of the disk are here | `host`, `take`, `seize`, `receive` |
 * | incoming | a copy that is made ahead | `take`, `seize`, `remove` |
 * | owner | this node's overlay is the disk | `grant`, `claim`, `remove` |
 * | granted | the disk went to `to`, its blocks stay | `settle`, `take`, `seize`, `remove` |
 *
 * The volatile part is the work under way: one job that may change owner or files, and other work
 * beside it. The lines of the table lie in `table-give.ts`, `table-take.ts` and `table-keep.ts`;
 * docs/architecture/ownership.md shows them. The first line counts whose phase, event and condition
 * fit.
 *
 * Invariants: a step changes nothing durable; it names the effects that do. `order.ts` holds each
 * list of effects to "durable before said". A line after an effect looks at the durable part again.
 */
import { type Context, type Fx, fx, type Rule, reject } from './rule.js';
import type { Effect, Event, Facts, Volatile, Work } from './state.js';
import { jobKinds } from './state.js';
import { givingRules } from './table-give.js';
import { keepingRules } from './table-keep.js';
import { takingRules } from './table-take.js';

export const table: readonly Rule[] = [...givingRules, ...takingRules, ...keepingRules];

export interface State {
  readonly facts: Facts;
  readonly volatile: Volatile;
}

export interface Step {
  readonly volatile: Volatile;
  /** Key of the work that the effects belong to; absent: nothing is to be done. */
  readonly key?: string | undefined;
  readonly effects: readonly Effect[];
  /** The line that was followed. */
  readonly rule?: Rule | undefined;
}

const jobs: ReadonlySet<string> = new Set(jobKinds);
/** For work whose last effects have failed: it ends, and holds no gate. */
const ended: Rule = { at: [], on: 'failed', effects: [fx('openGate'), reject('error')] };

/** @param rules the table; a test gives a broken one */
export function step({ facts, volatile }: State, event: Event, rules: RuleIndex = index): Step {
  switch (event.kind) {
    case 'close':
      return { volatile: { ...volatile, isClosed: true }, effects: [] };
    case 'want': {
      const work: Work = { ...event.work, phase: '' };
      // A node that waits for another one's answer still answers at once, where it can.
      const first = rules.get(`begin ${work.kind}`)?.find(({ is }) => is === undefined || is({ facts, volatile, work }));
      const isJob = jobs.has(work.kind) && first?.isAtOnce !== true;
      const key = isJob ? 'job' : `${work.kind} ${work.id}`;
      if (isJob && volatile.works['job'] !== undefined) return { volatile: { ...volatile, queue: [...volatile.queue, work] }, effects: [] };
      if (volatile.works[key] !== undefined) return { volatile, effects: [] };
      return follow({ facts, volatile, work }, key, 'begin', rules);
    }
    default: {
      const known = volatile.works[event.key];
      if (known === undefined) return { volatile, effects: [] };
      const work: Work =
        event.kind === 'done'
          ? { ...known, answer: event.answer }
          : { ...known, error: event.error ?? new Error('it failed without a reason') };
      if (known.phase !== 'end') return follow({ facts, volatile, work }, event.key, event.kind, rules);
      if (event.kind === 'failed') return apply({ facts, volatile, work }, event.key, ended);
      return endWork(facts, volatile, event.key, rules);
    }
  }
}

/** Lines by `event kind phase`. */
export type RuleIndex = ReadonlyMap<string, readonly Rule[]>;

export function indexOf(rules: readonly Rule[]): RuleIndex {
  const found = new Map<string, Rule[]>();
  for (const rule of rules) {
    for (const at of rule.at) {
      const name = `${rule.on} ${at}`;
      found.set(name, [...(found.get(name) ?? []), rule]);
    }
  }
  return found;
}

const index = indexOf(table);

function follow(context: Context, key: string, on: Rule['on'], rules: RuleIndex): Step {
  const { kind, phase } = context.work;
  const at = phase === '' ? kind : `${kind} ${phase}`;
  const rule = rules.get(`${on} ${at}`)?.find(({ is }) => is === undefined || is(context));
  if (rule === undefined) throw new Error(`the table of ownership has no line for ${on} ${at}`);
  return apply(context, key, rule);
}

function apply(context: Context, key: string, rule: Rule): Step {
  const { volatile } = context;
  // Effects may use what the work keeps from here on.
  const work: Work = { ...context.work, ...rule.keep?.(context), phase: rule.next ?? 'end' };
  const within = { ...context, work };
  const effects = rule.effects.map((each: Fx) => each.make(within));
  return { volatile: { ...volatile, ...rule.set?.(within), works: { ...volatile.works, [key]: work } }, key, effects, rule };
}

/** The work has ended; the next job begins. */
function endWork(facts: Facts, volatile: Volatile, key: string, rules: RuleIndex): Step {
  const { [key]: _ended, ...works } = volatile.works;
  const left = { ...volatile, works };
  const [next, ...queue] = volatile.queue;
  if (key !== 'job' || next === undefined) return { volatile: left, effects: [] };
  return follow({ facts, volatile: { ...left, queue }, work: next }, 'job', 'begin', rules);
}
