/** Broken tables: each line of the real one with one effect dropped, or swapped with its neighbour. */
import { indexOf, type RuleIndex, table } from '../../../src/disk/owner/machine.js';
import type { Rule } from '../../../src/disk/owner/rule.js';
import type { EffectKind } from '../../../src/disk/owner/state.js';

export interface Mutant {
  /** The line as `nameOf` names it. */
  line: string;
  /** The line, and what was done to it. */
  name: string;
  /** The effect whose loss or delay it shows. */
  kinds: readonly EffectKind[];
  /** As the table prints them. */
  texts: readonly string[];
  rules: RuleIndex;
}

/** Effects that do nothing in a world, by the tests that hold them. */
const outside: Partial<Record<EffectKind, string>> = {
  report: 'the log alone: no decision reads it',
  announce: 'a hint: the next ping tells the same',
  began: 'the time from which a lease is doubted: test/disk/lease',
  settleLease: 'the wait for a lease: test/disk/lease',
  closeView: 'a view that is not the owner is left by itself: test/disk/handover',
  endCopy: 'a copy that is made ahead: test/disk/moves',
  closeFiles: 'descriptors: test/disk/folder',
};
/** Effects that end in the turn in which they begin, and that a crash undoes. */
const momentary: ReadonlySet<EffectKind> = new Set([
  ...(['report', 'began', 'closeView', 'announce', 'openGate', 'loseLease', 'settleLater', 'reopenLater', 'startCompletion'] as const),
  ...(['stopCompletion', 'refreshLanes', 'endCopy', 'closeFiles'] as const),
]);
/** Effects in the course of which other things happen. */
const lengthy: ReadonlySet<EffectKind> = new Set(['closeGate', 'flush', 'settleLease', 'inherit', 'prove', 'ask', 'work']);

/** Reason why no world can show the mutant, by the kind of its effects; `undefined`: it is tried. */
export function exemptionOf({ kinds, texts }: Mutant): string | undefined {
  const [first, second] = kinds;
  if (first === undefined) return undefined;
  if (second === undefined) return outside[first];
  const isLengthy = kinds.some((kind, index) => lengthy.has(kind) || texts[index] === 'refreshLanes (awaited)');
  if (isLengthy || !(momentary.has(first) || momentary.has(second))) return undefined;
  return 'both end in one turn, and a crash undoes one of them: nothing comes between';
}

export function nameOf({ at, on, when }: Rule): string {
  return `${at.join(', ')}: ${on}${when === undefined ? '' : `, ${when}`}`;
}

export function mutants(): Mutant[] {
  return table.flatMap((rule, line) => {
    const change = (what: string, effects: Rule['effects'], changed: Rule['effects']): Mutant => ({
      line: nameOf(rule),
      name: `${nameOf(rule)} | ${what}`,
      kinds: changed.map(({ kind }) => kind),
      texts: changed.map(({ text }) => text),
      rules: indexOf(table.map((other, index) => (index === line ? { ...rule, effects } : other))),
    });
    return rule.effects.flatMap((fx, at) => {
      const dropped = change(
        `without ${fx.text}`,
        rule.effects.filter((_, index) => index !== at),
        [fx],
      );
      const next = rule.effects[at + 1];
      if (next === undefined) return [dropped];
      const effects = rule.effects.map((other, index) => (index === at ? next : index === at + 1 ? fx : other));
      return [dropped, change(`${next.text} before ${fx.text}`, effects, [fx, next])];
    });
  });
}
