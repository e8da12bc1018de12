/** Lines of the table of ownership for files: kept still, replaced, released and removed. Pure. */
import {
  type Context,
  effect,
  epochOf,
  fx,
  isOwner,
  isTaking,
  nodeOf,
  ownEpoch,
  persist,
  type Rule,
  refreshLanes,
  refreshLanesSoon,
  reject,
  reply,
  report,
  stopCompletion,
} from './rule.js';

const still = [fx('closeGate'), fx('flush'), fx('settleLease')];

/** True if the release does not count. A takeover that is under way still needs the files. */
function isStale(c: Context): boolean {
  return c.facts.file?.state !== 'granted' || ownEpoch(c) >= epochOf(c) || isTaking(c.volatile);
}

/** An operator's word carries no epoch, and has a check of its own. */
const isReleased = ({ work }: Context): boolean => work.epoch !== undefined;

const keep: Rule[] = [
  { at: ['still', 'replace'], on: 'begin', when: 'not the owner', is: (c) => !isOwner(c), effects: [reject('not owner')] },
  { at: ['still', 'replace'], on: 'begin', when: 'owner', effects: still, next: 'stopped' },
  {
    at: ['still stopped', 'replace stopped'],
    on: 'done',
    when: 'not the owner any more',
    is: (c) => !isOwner(c),
    effects: [fx('openGate'), reject('not owner')],
  },
  { at: ['still stopped'], on: 'done', when: 'owner', effects: [fx('work')], next: 'worked' },
  { at: ['still worked'], on: 'done', effects: [fx('openGate'), reply('answer')] },
  { at: ['still stopped', 'still worked', 'replace stopped'], on: 'failed', effects: [fx('openGate'), reject('error')] },
  {
    at: ['replace stopped'],
    on: 'done',
    when: 'owner',
    effects: [fx('began'), stopCompletion, fx('letGo'), refreshLanes, fx('closeFiles'), fx('work')],
    next: 'worked',
  },
  { at: ['replace worked'], on: 'done', effects: [fx('open')], next: 'opened' },
  { at: ['replace worked'], on: 'failed', when: 'the files are as before', effects: [fx('open')], next: 'opened' },
  {
    at: ['replace opened'],
    on: 'done',
    when: 'the change failed',
    is: ({ work }) => work.error !== undefined,
    effects: [refreshLanesSoon, fx('startCompletion'), fx('announce'), fx('openGate'), reject('error')],
  },
  {
    at: ['replace opened'],
    on: 'done',
    effects: [refreshLanesSoon, fx('startCompletion'), fx('announce'), fx('openGate'), reply('done')],
  },
  { at: ['replace opened'], on: 'failed', effects: [fx('reopenLater'), fx('openGate'), reject('error')] },
];

const release: Rule[] = [
  // A copy that is made ahead has taken their place. It stays.
  {
    at: ['release'],
    on: 'begin',
    when: 'no files of a former owner are here',
    is: ({ facts }) => !facts.hasFiles || facts.file?.state === 'incoming',
    effects: [reply('done')],
  },
  // They may be on their way out, or can't be opened: the owner asks again.
  {
    at: ['release'],
    on: 'begin',
    when: 'files are here that are not open',
    is: ({ facts }) => facts.file === undefined,
    effects: [reject('not open')],
  },
  { at: ['release'], on: 'begin', when: 'the files are needed', is: isStale, effects: [reject('stale release')] },
  {
    at: ['release'],
    on: 'begin',
    when: 'granted under an earlier epoch',
    effects: [effect('prove', (c) => ({ kind: 'prove', node: nodeOf(c), epoch: epochOf(c) }))],
    next: 'heard',
  },
  { at: ['release heard'], on: 'done', when: 'disproven', is: ({ work }) => work.answer === 'disproven', effects: [reject('disproven')] },
  { at: ['release heard'], on: 'done', when: 'not proven yet', is: ({ work }) => work.answer !== 'proven', effects: [reject('unknown')] },
  { at: ['release heard'], on: 'done', when: 'the files are needed', is: isStale, effects: [reject('stale release')] },
  {
    at: ['release heard'],
    on: 'done',
    when: 'snapshots keep the files',
    is: ({ facts }) => facts.hasSnapshots,
    effects: [
      persist('granted, free', ({ facts }) =>
        facts.file?.to === undefined ? {} : { to: { ...facts.file.to, accepted: true, free: true } },
      ),
      report('kept'),
      reply('done'),
    ],
  },
  // The files go as a job.
  { at: ['release heard'], on: 'done', when: 'otherwise', effects: [reply('answer')] },
  { at: ['release heard'], on: 'failed', effects: [reject('error')] },
  {
    at: ['released'],
    on: 'begin',
    when: 'owner under that epoch',
    is: (c) => isOwner(c) && ownEpoch(c) === epochOf(c),
    effects: [fx('flush')],
    next: 'flushed',
  },
  // It may have been handed on meanwhile: its next owner releases.
  {
    at: ['released flushed'],
    on: 'done',
    when: 'owner under that epoch still',
    is: (c) => isOwner(c) && ownEpoch(c) === epochOf(c),
    effects: [effect('ask release', (c) => ({ kind: 'ask', method: 'release', node: nodeOf(c), epoch: epochOf(c) }))],
    next: 'asked',
  },
  { at: ['released'], on: 'begin', when: 'otherwise', effects: [reject('not owner')] },
  {
    at: ['released asked'],
    on: 'done',
    when: 'owner under that epoch still',
    is: (c) => isOwner(c) && ownEpoch(c) === epochOf(c),
    effects: [
      persist(
        'owner, without the node',
        () => ({}),
        ({ work }) => work.index,
      ),
      reply('done'),
    ],
  },
  { at: ['released flushed', 'released asked'], on: 'done', when: 'otherwise', effects: [reject('not owner')] },
  { at: ['released flushed', 'released asked'], on: 'failed', effects: [reject('error')] },
];

const remove: Rule[] = [
  { at: ['remove'], on: 'begin', when: 'nothing is open here', is: ({ facts }) => facts.file === undefined, effects: [reply('done')] },
  {
    at: ['remove'],
    on: 'begin',
    when: 'released, and the files are needed',
    is: (c) => isReleased(c) && isStale(c),
    effects: [reject('stale release')],
  },
  { at: ['remove'], on: 'begin', when: 'otherwise', effects: [fx('check'), fx('endCopy')], next: 'checked' },
  {
    at: ['remove checked'],
    on: 'done',
    when: 'released, and the files are needed',
    is: (c) => isReleased(c) && isStale(c),
    effects: [reject('stale release')],
  },
  {
    at: ['remove checked'],
    on: 'done',
    when: 'otherwise',
    effects: [
      fx('check'),
      fx('hold'),
      fx('letGo'),
      effect('stopCompletion', () => ({ kind: 'stopCompletion' })),
      refreshLanes,
      stopCompletion,
      fx('closeFiles'),
      fx('removeFolder'),
      fx('announce'),
      reply('done'),
    ],
  },
  { at: ['remove checked'], on: 'failed', effects: [reject('error')] },
];

export const keepingRules: readonly Rule[] = [...keep, ...release, ...remove];
