/** Broken lines that the small spaces reach and do not show, each with the reason. */
export interface Survivor {
  is: RegExp;
  reason: string;
}

const healed = 'another line makes up for it';
const unowned = 'this node does not own the disk just then, and the next line looks again';
const large = 'it takes more faults than a small space has';

export const survivors: readonly Survivor[] = [
  { is: /without stopCompletion/, reason: 'each step of the completion looks at the owner itself' },
  { is: /^grant still, grant granting: failed, owner \| without startCompletion/, reason: large },
  { is: /no later owner is told of \| without startCompletion/, reason: large },
  { is: /^settle .*without (settleLater|reply done|persist granted, accepted)$/, reason: healed },
  { is: /^settle .*(without fence|before fence)$/, reason: `${large}: a refusal, a crash and a force` },
  { is: /^accepted: .*without persist/, reason: `${healed}: the settlement asks, and the release ends it` },
  { is: /^claim heard: .*without refreshLanes/, reason: 'lanes stop with the lease' },
  { is: /^resolve: .*refuse$/, reason: `${large}: test/disk/handover/case.test.ts, "what was refused"` },
  { is: /^take: .*without ask resolve/, reason: healed },
  { is: /^take settled, take opened: .*without ask handover/, reason: unowned },
  { is: /^take asked: .*without (closeGate|refreshLanes)/, reason: unowned },
  { is: /^take stopped: .*without persist owner/, reason: unowned },
  { is: /^take accepting.*without (ask accepted|refreshLanes|reopen)/, reason: healed },
  { is: /^seize: begin \| without/, reason: unowned },
  { is: /^seize opened: done, owner/, reason: healed },
  { is: /^seize opened: done, otherwise/, reason: unowned },
  { is: /^host adopting.*(not accepted|otherwise) \| without refreshLanes/, reason: unowned },
  { is: /^release.*without reject/, reason: 'the request is late, and its asker waits no more' },
  { is: /^released .*reply done before persist/, reason: 'one turn; a node that is released twice answers the same' },
  { is: /^remove: .*without reject/, reason: 'the request is late, and its asker waits no more' },
  { is: /^remove checked: .*hold$/, reason: `${large}: test/disk/handover/case.test.ts, "an old owner comes back"` },
  { is: /^remove checked: .*without refreshLanes/, reason: unowned },
];
