/** Lines by which a node becomes the owner: by leave, by force, or with files of its own. Pure. */

import { maxEpoch } from '../protocol/record.js';
import {
  askResolve,
  type Context,
  effect,
  fx,
  isClosedFile,
  isOwner,
  isUnsettled,
  laterThan,
  nodeOf,
  ownEpoch,
  persist,
  type Rule,
  readmit,
  refreshLanes,
  refreshLanesSoon,
  reject,
  reply,
  report,
  stopCompletion,
} from './rule.js';
import type { Given } from './state.js';

/** Jump of the epoch by force: more than the lost owner can have handed on since its last word. */
const forcedEpochs = 1000;

const givenEpoch = ({ work }: Context): number => work.handover?.epoch ?? 0;

const take: Rule[] = [
  { at: ['take'], on: 'begin', when: 'owner', is: isOwner, effects: [reply('done')] },
  { at: ['take'], on: 'begin', when: 'closed', is: ({ volatile }) => volatile.isClosed, effects: [reject('closed')] },
  { at: ['take'], on: 'begin', when: 'in no cluster', is: ({ facts }) => facts.selfId === undefined, effects: [reject('not owner')] },
  // The taker may be waiting for an answer of this node.
  {
    at: ['take'],
    on: 'begin',
    when: 'granted, not accepted',
    is: isUnsettled,
    effects: [fx('began'), askResolve],
    keep: (c) => ({ epoch: ownEpoch(c) }),
    next: 'settling',
  },
  { at: ['take'], on: 'begin', when: 'otherwise', effects: [fx('began')], next: 'settled' },
  { at: ['take settled', 'take opened'], on: 'done', when: 'owner', is: isOwner, effects: [reply('done')] },
  {
    at: ['take settled'],
    on: 'done',
    when: 'files are here that are not open',
    is: isClosedFile,
    effects: [fx('reopen'), refreshLanesSoon, fx('startCompletion')],
    next: 'opened',
  },
  // The owner is not asked: it would stop its guests for nothing.
  {
    at: ['take settled', 'take opened'],
    on: 'done',
    when: 'data of before was lost here',
    is: ({ facts }) => facts.isLossy,
    effects: [reject('lossy')],
  },
  {
    at: ['take settled', 'take opened'],
    on: 'done',
    when: 'otherwise',
    effects: [effect('ask handover', () => ({ kind: 'ask', method: 'handover' }))],
    next: 'asked',
  },
  { at: ['take opened'], on: 'failed', effects: [fx('reopenLater'), reject('error')] },
  { at: ['take settling', 'take settled', 'take asked'], on: 'failed', effects: [reject('error')] },
  {
    at: ['take asked'],
    on: 'done',
    when: 'a handover was given',
    effects: [fx('closeGate'), effect('stopCompletion', () => ({ kind: 'stopCompletion' })), refreshLanes, stopCompletion],
    keep: ({ work }) => {
      const { giver, handover } = work.answer as Given;
      return { node: giver, handover, epoch: handover.epoch };
    },
    next: 'stopped',
  },
  {
    at: ['take stopped'],
    on: 'done',
    when: 'it leads back to an epoch that was granted here',
    is: (c) => c.facts.file?.state === 'granted' && givenEpoch(c) <= ownEpoch(c),
    effects: [fx('openGate'), reject('old epoch')],
  },
  // The giver may not know.
  {
    at: ['take stopped'],
    on: 'done',
    when: 'a later owner is known',
    is: (c) => laterThan(c, givenEpoch(c)) !== undefined,
    effects: [fx('openGate'), reject('not owner')],
  },
  {
    at: ['take stopped'],
    on: 'done',
    when: 'that epoch was promised never to be accepted',
    is: (c) => c.facts.refusedEpoch >= givenEpoch(c),
    effects: [fx('openGate'), reject('promised')],
  },
  {
    at: ['take stopped'],
    on: 'done',
    when: 'otherwise',
    effects: [
      effect('inherit', (c) => ({ kind: 'inherit', giver: nodeOf(c), epoch: givenEpoch(c) })),
      persist('owner', (c) => ({
        state: 'owner',
        epoch: givenEpoch(c),
        to: undefined,
        forced: c.work.handover?.forced,
        by: { id: nodeOf(c).id, epoch: givenEpoch(c) - 1 },
      })),
      fx('open'),
    ],
    set: (c) => ({ accepting: { epoch: givenEpoch(c), heldEpoch: c.facts.heldEpoch } }),
    next: 'accepting',
  },
  { at: ['take stopped'], on: 'failed', effects: [fx('openGate'), reject('error')] },
  {
    at: ['take accepting', 'take recovering'],
    on: 'done',
    when: 'owner under that epoch',
    is: (c) => isOwner(c) && ownEpoch(c) === givenEpoch(c),
    // The giver hears of it before a client here writes.
    effects: [
      effect('ask accepted', (c) => ({ kind: 'ask', method: 'accepted', node: nodeOf(c), epoch: givenEpoch(c) })),
      fx('openGate'),
      report('taken'),
      fx('closeView'),
      refreshLanesSoon,
      effect('startCompletion (later)', () => ({ kind: 'startCompletion', isDelayed: true })),
      fx('announce'),
      reply('done'),
    ],
    set: () => ({ accepting: undefined }),
  },
  // It may be this node's durably all the same.
  {
    at: ['take accepting'],
    on: 'failed',
    effects: [fx('reopen'), refreshLanesSoon],
    next: 'recovering',
  },
  {
    at: ['take accepting', 'take recovering'],
    on: 'done',
    when: 'otherwise',
    effects: [fx('openGate'), reject('error')],
    set: () => ({ accepting: undefined }),
  },
  {
    at: ['take recovering'],
    on: 'failed',
    effects: [fx('reopenLater'), fx('openGate'), reject('error')],
    set: () => ({ accepting: undefined }),
  },
];

const seize: Rule[] = [
  { at: ['seize'], on: 'begin', effects: [fx('began'), refreshLanes, fx('reopen')], next: 'opened' },
  {
    at: ['seize opened'],
    on: 'done',
    when: 'owner',
    is: isOwner,
    effects: [refreshLanesSoon, fx('startCompletion'), reply('done')],
  },
  {
    at: ['seize opened'],
    on: 'done',
    when: 'no epoch is left',
    is: (c) => seizedFrom(c) + forcedEpochs > maxEpoch,
    effects: [reject('no epoch')],
  },
  // Files that can't be opened are made anew.
  {
    at: ['seize opened'],
    on: 'done',
    when: 'otherwise',
    effects: seized(),
    next: 'adopting',
  },
  { at: ['seize opened'], on: 'failed', when: 'the files can not be opened', effects: seized(), next: 'adopting' },
];

const host: Rule[] = [
  { at: ['host'], on: 'begin', when: 'open already', is: ({ facts }) => facts.file !== undefined, effects: [reply('done')] },
  { at: ['host'], on: 'begin', effects: [fx('work')], next: 'adopting' },
  { at: ['receive'], on: 'begin', when: 'files are here that are not open', is: isClosedFile, effects: [fx('reopen')], next: 'opened' },
  { at: ['receive'], on: 'begin', when: 'otherwise', effects: [], next: 'opened' },
  { at: ['receive opened'], on: 'failed', effects: [fx('reopenLater'), reject('error')] },
  {
    at: ['receive opened'],
    on: 'done',
    when: 'owner',
    is: isOwner,
    effects: [refreshLanesSoon, fx('startCompletion'), reject('owner')],
  },
  { at: ['receive opened'], on: 'done', when: 'otherwise', effects: [fx('work')], next: 'adopting' },
  {
    at: ['receive adopting'],
    on: 'done',
    when: 'the files are those of before',
    is: ({ work }) => work.answer === 'same',
    effects: [reply('done')],
  },
  {
    at: ['host adopting', 'receive adopting', 'seize adopting'],
    on: 'done',
    when: 'owner',
    is: isOwner,
    // Fences of a handover that came no further.
    effects: [readmit, refreshLanesSoon, fx('closeView'), fx('startCompletion'), fx('announce'), reply('done')],
  },
  {
    at: ['host adopting', 'receive adopting', 'seize adopting'],
    on: 'done',
    when: 'granted, not accepted',
    is: isUnsettled,
    effects: [
      refreshLanesSoon,
      fx('closeView'),
      effect('settleLater (at once)', () => ({ kind: 'settleLater', isNow: true })),
      fx('announce'),
      reply('done'),
    ],
  },
  {
    at: ['host adopting', 'receive adopting', 'seize adopting'],
    on: 'done',
    when: 'otherwise',
    effects: [refreshLanesSoon, fx('closeView'), fx('announce'), reply('done')],
  },
  { at: ['host adopting', 'receive adopting', 'seize adopting'], on: 'failed', effects: [reject('error')] },
  { at: ['reopen'], on: 'begin', when: 'files are here that are not open', is: isClosedFile, effects: [fx('reopen')], next: 'opened' },
  { at: ['reopen'], on: 'begin', when: 'otherwise', effects: [reply('done')] },
  { at: ['reopen opened'], on: 'done', effects: [refreshLanesSoon, fx('startCompletion'), reply('done')] },
  { at: ['reopen opened'], on: 'failed', effects: [fx('reopenLater'), reject('error')] },
];

export const takingRules: readonly Rule[] = [...take, ...seize, ...host];

function seizedFrom({ facts }: Context): number {
  return Math.max(facts.told?.epoch ?? 0, (facts.file?.epoch ?? 0) + 1);
}

function seized(): Rule['effects'] {
  return [
    fx('endCopy'),
    fx('prepareForce'),
    persist('owner, by force', (c) => {
      const from = seizedFrom(c);
      const forced = { from, to: from + forcedEpochs, node: nodeOf(c), at: c.work.at ?? '' };
      return { state: 'owner', epoch: from + forcedEpochs, to: undefined, by: undefined, forced };
    }),
    fx('open'),
  ];
}
