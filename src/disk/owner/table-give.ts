/** Lines of the table of ownership by which a node gives a disk away and learns the end. Pure. */
import {
  askResolve,
  effect,
  epochOf,
  fx,
  granteeOf,
  isClosedFile,
  isGrantedTo,
  isOwner,
  isTaking,
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

const settleLater = fx('settleLater');
const freeToTaker = persist('granted, free, to the taker', (c) => ({
  to: { ...(laterThan(c, epochOf(c) + 1)?.by ?? granteeOf(c)), accepted: true, free: true },
}));

const grant: Rule[] = [
  // A doubled request waits for the first one: native lanes here may not have stopped yet.
  {
    at: ['grant'],
    on: 'begin',
    when: 'granted to the same node, which has not accepted, and no grant is under way',
    is: (c) => isGrantedTo(c.facts.file, nodeOf(c).id) && c.volatile.works['job']?.kind !== 'grant',
    isAtOnce: true,
    effects: [reply('handover')],
  },
  {
    at: ['grant'],
    on: 'begin',
    when: 'not the owner',
    is: (c) => !isOwner(c) && !isGrantedTo(c.facts.file, nodeOf(c).id),
    isAtOnce: true,
    effects: [reject('not owner')],
  },
  {
    at: ['grant'],
    on: 'begin',
    when: "the disk moves by an operator's word alone, and this is none",
    is: ({ facts, work }) => facts.isExplicit && (work.reason === 'write' || work.reason === 'idle'),
    effects: [reject('explicit')],
  },
  {
    at: ['grant'],
    on: 'begin',
    when: 'owner',
    effects: [stopCompletion, fx('closeGate'), fx('flush'), fx('settleLease')],
    next: 'still',
  },
  {
    at: ['grant still'],
    on: 'done',
    when: 'owner',
    is: isOwner,
    // The fences come first: after a crash in between a displaced client must not come back.
    effects: [
      effect('fence', (c) => ({ kind: 'fence', by: nodeOf(c), epoch: ownEpoch(c) + 1 })),
      fx('began'),
      persist('granted', (c) => ({ state: 'granted', to: { ...nodeOf(c), accepted: false } })),
      settleLater,
      refreshLanes,
      report('granted'),
      fx('openGate'),
      fx('announce'),
      reply('handover'),
    ],
    next: 'granting',
  },
  { at: ['grant granting'], on: 'done', effects: [] },
  // It was taken by force meanwhile.
  { at: ['grant still'], on: 'done', when: 'not the owner any more', effects: [fx('openGate'), reject('not owner')] },
  {
    at: ['grant still', 'grant granting'],
    on: 'failed',
    when: 'owner',
    is: isOwner,
    effects: [readmit, fx('startCompletion'), fx('openGate'), reject('error')],
  },
  { at: ['grant still', 'grant granting'], on: 'failed', when: 'not the owner', effects: [fx('openGate'), reject('error')] },
];

/** Lines after `disk.resolve`, for the settlement and for a takeover that settles first. */
const answered: Rule[] = [
  {
    at: ['settle asked', 'take settling'],
    on: 'done',
    when: 'settled meanwhile, or an acceptance is under way',
    is: (c) => !isUnsettled(c) || ownEpoch(c) !== epochOf(c) || c.volatile.accepting !== undefined || c.volatile.isClosed,
    effects: [settleLater],
    next: 'settled',
  },
  {
    at: ['settle asked', 'take settling'],
    on: 'done',
    when: '`accepted`',
    is: ({ work }) => work.answer === 'accepted',
    // Sessions that attached since the grant read the new owner's disk: no fence is for them.
    effects: [persist('granted, accepted', (c) => ({ to: { ...granteeOf(c), accepted: true } })), fx('announce')],
    next: 'settled',
  },
  {
    at: ['settle asked', 'take settling'],
    on: 'done',
    when: '`refused`, and a force is proven that leads elsewhere',
    is: (c) => c.work.answer === 'refused' && laterThan(c, epochOf(c) + 1)?.by !== undefined,
    effects: [freeToTaker],
    next: 'settled',
  },
  {
    at: ['settle asked', 'take settling'],
    on: 'done',
    when: '`refused`, and no later owner is told of',
    is: (c) => c.work.answer === 'refused' && laterThan(c, epochOf(c) + 1) === undefined,
    effects: [
      readmit,
      // The refused epoch stays refused, so the next one begins.
      persist('owner, two epochs on', (c) => ({ state: 'owner', epoch: ownEpoch(c) + 2, to: undefined })),
      refreshLanesSoon,
      report('undone'),
      fx('startCompletion'),
      fx('announce'),
    ],
    next: 'settled',
  },
  { at: ['settle asked', 'take settling'], on: 'done', when: 'neither', effects: [settleLater], next: 'settled' },
  // The taker refuses to answer for a disk that a force has led elsewhere, or is lost with it.
  {
    at: ['settle asked'],
    on: 'failed',
    when: 'a force is proven that leads elsewhere',
    is: (c) => isUnsettled(c) && ownEpoch(c) === epochOf(c) && laterThan(c, epochOf(c) + 1)?.by !== undefined,
    effects: [freeToTaker],
    next: 'settled',
  },
  { at: ['settle asked', 'settle settled'], on: 'failed', effects: [settleLater, reply('done')] },
  { at: ['settle settled'], on: 'done', effects: [reply('done')] },
];

/** Effects by which an owner lets go for good. Its blocks stay. */
const letGo: Rule['effects'] = [
  report('deposed'),
  fx('loseLease'),
  effect('fence', (c) => ({ kind: 'fence', by: nodeOf(c) })),
  persist('granted, free', (c) => ({ state: 'granted', to: { ...nodeOf(c), accepted: true, free: true } })),
  refreshLanesSoon,
  fx('stopCompletion'),
  fx('announce'),
];

const heard: Rule[] = [
  {
    at: ['settle'],
    on: 'begin',
    when: 'granted, not accepted',
    is: (c) => isUnsettled(c) && !c.volatile.isClosed,
    effects: [askResolve],
    keep: (c) => ({ epoch: ownEpoch(c) }),
    next: 'asked',
  },
  { at: ['settle'], on: 'begin', when: 'otherwise', effects: [reply('done')] },
  {
    at: ['accepted'],
    on: 'begin',
    when: 'granted to that node under the epoch before, not accepted',
    is: (c) => isUnsettled(c) && isGrantedTo(c.facts.file, nodeOf(c).id) && epochOf(c) === ownEpoch(c) + 1,
    effects: [persist('granted, accepted', (c) => ({ to: { ...nodeOf(c), accepted: true } })), fx('announce'), reply('done')],
  },
  { at: ['accepted'], on: 'begin', when: 'otherwise', effects: [reply('done')] },
  {
    at: ['claim'],
    on: 'begin',
    when: 'owner under an earlier epoch, the claimant is up and trusted',
    is: (c) => isOwner(c) && ownEpoch(c) < epochOf(c) && c.work.isTrusted === true,
    effects: [fx('holdGate'), proof()],
    next: 'heard',
  },
  {
    at: ['claim'],
    on: 'begin',
    when: 'owner under an earlier epoch',
    is: (c) => isOwner(c) && ownEpoch(c) < epochOf(c),
    effects: [proof()],
    next: 'heard',
  },
  { at: ['claim'], on: 'begin', when: 'otherwise', effects: [reply('done')] },
  {
    at: ['claim heard'],
    on: 'done',
    when: 'proven, owner under an earlier epoch',
    is: (c) => c.work.answer === 'proven' && isOwner(c) && ownEpoch(c) < epochOf(c),
    effects: [...letGo, fx('openGate'), reply('answer')],
  },
  {
    at: ['claim heard'],
    on: 'done',
    // The work that has closed them ends with an owner otherwise.
    when: 'proven, and files are here that are not open',
    is: (c) => c.work.answer === 'proven' && isClosedFile(c),
    effects: [fx('openGate'), reply('answer')],
    set: (c) => ({ proven: { node: nodeOf(c), epoch: epochOf(c) } }),
  },
  {
    at: ['replace opened', 'reopen opened', 'take opened', 'seize opened', 'receive opened', 'host adopting'],
    on: 'done',
    when: 'owner, and a later one was proven while the files were not open',
    is: (c) => isOwner(c) && (c.volatile.proven?.epoch ?? 0) > ownEpoch(c),
    keep: ({ volatile }) => ({ node: volatile.proven?.node, epoch: volatile.proven?.epoch }),
    effects: [...letGo, fx('openGate'), reject('not owner')],
    set: () => ({ proven: undefined }),
  },
  { at: ['claim heard'], on: 'done', when: 'otherwise', effects: [fx('openGate'), reply('answer')] },
  { at: ['claim heard'], on: 'failed', effects: [fx('openGate'), reject('error')] },
];

const answers: Rule[] = [
  {
    at: ['resolve'],
    on: 'begin',
    when: 'held that epoch, or a later one, before any acceptance that is under way',
    is: ({ facts, volatile, work }) => (volatile.accepting?.heldEpoch ?? facts.heldEpoch) >= (work.epoch ?? 0),
    effects: [reply('accepted')],
  },
  {
    at: ['resolve'],
    on: 'begin',
    when: 'a takeover is under way or waits',
    is: ({ volatile }) => volatile.accepting !== undefined || isTaking(volatile),
    effects: [reply('pending')],
  },
  {
    at: ['resolve'],
    on: 'begin',
    when: 'otherwise',
    effects: [effect('refuse', (c) => ({ kind: 'refuse', epoch: epochOf(c) })), reply('refused')],
  },
];

export const givingRules: readonly Rule[] = [...grant, ...answered, ...heard, ...answers];

function proof() {
  return effect('prove', (c) => ({ kind: 'prove', node: nodeOf(c), epoch: epochOf(c) }));
}
