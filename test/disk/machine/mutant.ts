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

/** Effects that this world does not have, by what else holds them. */
const elsewhere: Partial<Record<EffectKind, string>> = {
  report: 'the log alone',
  began: 'leases: test/disk/lease',
  settleLease: 'leases: test/disk/lease',
  announce: 'a hint that comes earlier than the next ping',
  closeView: 'a view that is not the owner is left by itself: test/disk/handover',
  endCopy: 'copies made ahead: test/disk/moves',
  prepareForce: 'a rename: test/disk/owner/claim.test.ts',
  check: "an operator's check: test/daemon",
  work: "an operator's work, and the start: test/disk/owner",
  reopenLater: 'files that can not be opened: test/disk/owner/one-export.test.ts',
  closeFiles: 'descriptors: test/disk/folder',
};
/** Effects whose order counts among themselves: files, notes, what is said, what is waited for. */
const ordered: ReadonlySet<EffectKind> = new Set([
  ...(['persist', 'fence', 'readmit', 'refuse', 'hold', 'flush', 'inherit', 'ask', 'closeGate', 'letGo', 'removeFolder', 'open'] as const),
]);

/** Reason why no world can show the mutant; `undefined`: one must. */
export function equivalenceOf({ kinds, texts }: Mutant): string | undefined {
  const [first, second] = kinds;
  if (first === undefined) return undefined;
  if (second === undefined) return elsewhere[first];
  const isOrdered = (kind: EffectKind, text = ''): boolean => ordered.has(kind) || text === 'refreshLanes (awaited)' || kind === 'reply';
  if (isOrdered(first, texts[0]) && isOrdered(second, texts[1])) return undefined;
  return 'one of the two neither lasts nor is said: they are done in one turn';
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
