/** The bounded spaces that are explored to their end. */
import type { Budget, Setting, Space } from './world.js';

/** A space with that budget; what is not named is 0. */
export function space(budget: Partial<Budget>, setting: Setting = {}, after: readonly string[] = []): Space {
  return { after, budget: { takes: 0, faults: 0, breaks: 0, crashes: 0, forces: 0, writes: 0, commands: 0, ...budget }, setting };
}

export const spaces: readonly Space[] = [
  space({ takes: 1, faults: 1, crashes: 2, writes: 1 }),
  space({ takes: 1, faults: 1, crashes: 1, forces: 1, writes: 1 }),
  space({ takes: 2, crashes: 1, writes: 1 }),
  space({ takes: 2, faults: 1, writes: 1 }),
];

/** Ways to worlds that small budgets do not reach. */
const asked = (giver: string, taker: string): readonly string[] => [
  `a guest at ${taker} wants to write`,
  `${taker}>${giver} handover 0 arrives`,
  `lanes of ${giver} follow`,
  `${giver} has flushed`,
  `the lease of ${giver} holds`,
  `lanes of ${giver} follow`,
];
const moved = (giver: string, taker: string, epoch: number): readonly string[] => [
  ...asked(giver, taker),
  `the answer to ${taker}>${giver} handover 0 arrives`,
  `lanes of ${taker} follow`,
  `lanes of ${taker} follow`,
  `${taker} has the map of ${giver}`,
  `${taker}>${giver} accepted ${epoch} arrives`,
  `the answer to ${taker}>${giver} accepted ${epoch} arrives`,
];
const refused = [
  ...asked('A', 'B'),
  'A looks early how its handover ended',
  'the answer to B>A handover 0 is lost',
  'A>B resolve 2 arrives',
];
const forced = ['A crashes', 'take --force at B, for A is lost', 'lanes of B follow'];
const asleep = [
  'A crashes',
  'take --force at B, for A is lost',
  'A starts',
  'a guest at C wants to write',
  'lanes of B follow',
  'C>A handover 0 is late',
  'A hears that B owns it',
];
const unopened = [...moved('A', 'B', 2), 'A crashes', "A starts; its files can't be opened", 'B crashes'];
const onward = [...forced, ...moved('B', 'C', 1002), 'C crashes', 'A starts', 'a guest at B wants to write'];

/** Small ones, in which a broken line shows. */
export const smallSpaces: readonly Space[] = [
  space({ takes: 1, writes: 1 }),
  space({ takes: 1, crashes: 1, writes: 1 }),
  space({ takes: 1, faults: 1, writes: 1 }),
  space({ faults: 1, crashes: 1, forces: 1, writes: 1 }),
  space({ takes: 2, writes: 1 }),
  space({ takes: 1, faults: 1, crashes: 1 }),
  space({ takes: 1, crashes: 1, forces: 1 }),
  space({ takes: 1, breaks: 1, writes: 1 }),
  space({ crashes: 1, breaks: 1, takes: 1 }),
  space({ commands: 2, writes: 1 }),
  space({ takes: 1, commands: 1, writes: 1 }),
  space({ commands: 1, breaks: 1, writes: 1 }),
  space({ crashes: 1, forces: 1, commands: 1 }),
  space({ faults: 1, forces: 1, commands: 1 }),
  space({ takes: 1, breaks: 2 }),
  space({ takes: 1, crashes: 1, breaks: 2 }),
  space({ commands: 1, breaks: 2 }),
  space({ takes: 1, commands: 1, breaks: 1 }),
  space({ takes: 1, crashes: 1 }, {}, refused),
  space({ breaks: 1 }, {}, asleep),
  space({ breaks: 1, forces: 1 }, {}, unopened),
  space({}, {}, onward),
  space({ commands: 1 }, {}, [...forced, 'B crashes', 'A starts', 'a guest at C wants to write']),
  space({ takes: 1 }, { isExplicit: true }),
  space({ takes: 1, writes: 1, commands: 1 }, { hasSnapshots: true }),
  space({ takes: 1 }, { isLossy: true }),
  space({ takes: 1 }, { isAlone: true }),
  space({ crashes: 1, forces: 1 }, { isOld: true }),
];

/** The bounds of a space, as text for people. */
export function textOf({ budget, after = [], setting = {} }: Space): string {
  const counts = Object.entries(budget).flatMap(([name, count]) => (count === 0 ? [] : [`${count} ${name}`]));
  const way = after.length === 0 ? [] : [`after ${after.length} actions`];
  return [...counts, ...Object.keys(setting), ...way].join(', ');
}
