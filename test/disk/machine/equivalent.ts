/**
 * Broken lines of the table that no small space shows, by name: the reviewed list.
 *
 * A mutant that is found and listed fails the test, and so does one that is neither.
 */

/** Mutants that keep every invariant, each with the reason. */
export const equivalents: ReadonlyMap<string, string> = new Map([
  ['grant: begin, owner | without stopCompletion (awaited)', 'a block that arrives late has the bytes that the map names'],
  ['grant: begin, owner | closeGate before stopCompletion (awaited)', 'a block that arrives late has the bytes that the map names'],
  ['grant: begin, owner | settleLease before flush', 'one of the two is outside of the model, or a crash undoes it'],
  ['grant still: done, owner | refreshLanes (awaited) before settleLater', 'one of the two is outside of the model, or a crash undoes it'],
  ['grant still: done, owner | report before refreshLanes (awaited)', 'one of the two is outside of the model, or a crash undoes it'],
  ['claim heard: done, proven, owner under an earlier epoch | without refreshLanes', 'lanes answer nothing without their lease'],
  ['seize: begin | refreshLanes (awaited) before began', 'one of the two is outside of the model, or a crash undoes it'],
  ['seize: begin | reopen before refreshLanes (awaited)', 'both end before the next line, and neither needs the other'],
  ['seize: begin | without reopen', 'files that are not open are made anew by the force'],
  ['seize opened: done, otherwise | open before persist owner, by force', 'files that are open stay open'],
  ['remove checked: done, otherwise | hold before check', 'a note of the epoch is true, whether the files go or stay'],
  ['remove checked: done, otherwise | without check', 'the line before checks, and one turn holds all of this one'],
  ['remove: begin, otherwise | without check', 'the next line checks again'],
  [
    'accepted: begin, granted to that node under the epoch before, not accepted | without persist granted, accepted',
    'the giver asks how the handover ended, and a release ends it in any case',
  ],
  ['claim: begin, owner under an earlier epoch | without prove', 'the next line finds no proof, and refuses'],
  [
    'host adopting, receive adopting, seize adopting: done, granted, not accepted | without refreshLanes',
    'the turn also opens the gate, or the next look at the lanes finds the same',
  ],
  [
    'host adopting, receive adopting, seize adopting: done, otherwise | without refreshLanes',
    'the turn also opens the gate, or the next look at the lanes finds the same',
  ],
  ['receive opened: done, otherwise | without work', 'a copy ahead is a hint: the handover makes the files anew'],
  ['receive opened: done, owner | without refreshLanes', 'the turn also opens the gate, or the next look at the lanes finds the same'],
  ['receive opened: failed | without reopenLater', 'an operator has the files opened as well'],
  ['receive: begin, files are here that are not open | without reopen', 'the next line looks at the files again, and refuses'],
  [
    'remove checked: done, otherwise | refreshLanes (awaited) before stopCompletion',
    'a block that arrives late has the bytes that the map names',
  ],
  [
    'remove checked: done, otherwise | stopCompletion (awaited) before refreshLanes (awaited)',
    'a block that arrives late has the bytes that the map names',
  ],
  ['remove checked: done, otherwise | without refreshLanes (awaited)', 'the lanes follow by themselves: nothing waits for them here'],
  ['remove checked: done, otherwise | without stopCompletion', 'a block that arrives late has the bytes that the map names'],
  ['remove checked: done, otherwise | without stopCompletion (awaited)', 'a block that arrives late has the bytes that the map names'],
  ['reopen opened: failed | without reopenLater', 'an operator has the files opened as well'],
  ['reopen: begin, files are here that are not open | without reopen', 'the next line looks at the files again, and refuses'],
  [
    'replace opened, reopen opened, take opened, seize opened, receive opened, host adopting: done, owner, and a later one was proven while the files were not open | without refreshLanes',
    'the turn also opens the gate, or the next look at the lanes finds the same',
  ],
  [
    'replace opened, reopen opened, take opened, seize opened, receive opened, host adopting: done, owner, and a later one was proven while the files were not open | without stopCompletion',
    'a block that arrives late has the bytes that the map names',
  ],
  ['replace opened: done | without refreshLanes', 'the turn also opens the gate, or the next look at the lanes finds the same'],
  [
    'replace opened: done, the change failed | without refreshLanes',
    'the turn also opens the gate, or the next look at the lanes finds the same',
  ],
  ['replace opened: failed | without reopenLater', 'an operator has the files opened as well'],
  ['replace stopped: done, owner | closeFiles before refreshLanes (awaited)', 'descriptors are outside of the model: test/disk/folder'],
  ['replace stopped: done, owner | without work', 'what the operator asked for is outside of the model: test/disk/owner'],
  ['replace stopped: done, owner | work before closeFiles', 'descriptors are outside of the model: test/disk/folder'],
  ['replace worked: done | without open', 'the next line refuses, and the files are opened later'],
  ['replace worked: failed, the files are as before | without open', 'the next line refuses, and the files are opened later'],
  ['seize opened: done, owner | without refreshLanes', 'the turn also opens the gate, or the next look at the lanes finds the same'],
  ['seize: begin | without refreshLanes (awaited)', 'the files are opened, or the lanes follow, in the next line'],
  [
    'settle asked, take settling: done, settled meanwhile, or an acceptance is under way | without settleLater',
    'a settled grant needs no look, and an acceptance under way settles it',
  ],
  ['still stopped: done, owner | without work', 'what the operator asked for is outside of the model: test/disk/owner'],
  ['still, replace: begin, owner | settleLease before flush', 'one of the two is outside of the model, or a crash undoes it'],
  ['take accepting, take recovering: done, owner under that epoch | openGate before ask accepted', 'the giver asks how the handover ended'],
  ['take accepting, take recovering: done, owner under that epoch | without ask accepted', 'the giver asks how the handover ended'],
  [
    'take accepting, take recovering: done, owner under that epoch | without refreshLanes',
    'the turn also opens the gate, or the next look at the lanes finds the same',
  ],
  ['take accepting: failed | without refreshLanes', 'the turn also opens the gate, or the next look at the lanes finds the same'],
  ['take accepting: failed | without reopen', 'the next line looks at the files again, and refuses'],
  [
    'take asked: done, a handover was given | refreshLanes (awaited) before stopCompletion',
    'a block that arrives late has the bytes that the map names',
  ],
  [
    'take asked: done, a handover was given | stopCompletion (awaited) before refreshLanes (awaited)',
    'a block that arrives late has the bytes that the map names',
  ],
  [
    'take asked: done, a handover was given | stopCompletion before closeGate',
    'a block that arrives late has the bytes that the map names',
  ],
  ['take asked: done, a handover was given | without closeGate', 'this node is no owner yet, so its gate and its lanes let nothing pass'],
  [
    'take asked: done, a handover was given | without refreshLanes (awaited)',
    'this node is no owner yet, so its gate and its lanes let nothing pass',
  ],
  ['take asked: done, a handover was given | without stopCompletion', 'a block that arrives late has the bytes that the map names'],
  [
    'take asked: done, a handover was given | without stopCompletion (awaited)',
    'a block that arrives late has the bytes that the map names',
  ],
  ['take opened: failed | without reopenLater', 'an operator has the files opened as well'],
  ['take recovering: failed | without reopenLater', 'an operator has the files opened as well'],
  ['take settled, take opened: done, otherwise | without ask handover', 'the next line finds no handover in the answer, and fails'],
  ['take settled: done, files are here that are not open | without reopen', 'the next line looks at the files again, and refuses'],
  ['take stopped: done, otherwise | without open', 'the next line finds that this node is no owner, and refuses'],
  ['take: begin, granted, not accepted | ask resolve before began', 'one of the two is outside of the model, or a crash undoes it'],
  ['take: begin, granted, not accepted | without ask resolve', 'the take asks the owner in any case, which answers by its own grant'],
]);

/** Mutants that may break an invariant in a larger space, each with the reason why no small one shows it. */
export const unshown: ReadonlyMap<string, string> = new Map([
  ['grant still, grant granting: failed, owner | without startCompletion', 'no small space ends this work with blocks on other nodes'],
  [
    'resolve: begin, otherwise | reply refused before refuse',
    'a crash of the taker between the two, after a lost answer; test/disk/handover/case.test.ts',
  ],
  [
    'seize opened: done, otherwise | without prepareForce',
    'a force makes what is here durable itself in the model; test/disk/owner/claim.test.ts',
  ],
  [
    'seize opened: done, otherwise | persist owner, by force before prepareForce',
    'a force makes what is here durable itself in the model; test/disk/owner/claim.test.ts',
  ],
  [
    'seize opened: done, otherwise | without open',
    'no small space forces a node without files whose run ends there; test/disk/owner/claim.test.ts',
  ],
  ['remove: begin, released, and the files are needed | without reject stale release', 'the owner asks again, and waits no more'],
  ['receive opened: done, owner | without startCompletion', 'no small space ends this work with blocks on other nodes'],
  [
    'released asked: done, owner under that epoch still | reply done before persist owner, without the node',
    'no small space follows the line with a caller that waits',
  ],
  [
    'replace opened, reopen opened, take opened, seize opened, receive opened, host adopting: done, owner, and a later one was proven while the files were not open | persist granted, free before fence',
    'one force is too few; the claim is heard again',
  ],
  [
    'replace opened, reopen opened, take opened, seize opened, receive opened, host adopting: done, owner, and a later one was proven while the files were not open | without loseLease',
    'one force is too few; the claim is heard again',
  ],
  [
    'seize opened: done, otherwise | without persist owner, by force',
    'no invariant says that a force succeeds: test/disk/owner/claim.test.ts',
  ],
  ['seize opened: done, owner | without startCompletion', 'no small space ends this work with blocks on other nodes'],
  [
    'seize opened: failed, the files can not be opened | open before persist owner, by force',
    'no invariant says that a force succeeds: test/disk/owner/claim.test.ts',
  ],
  [
    'seize opened: failed, the files can not be opened | persist owner, by force before prepareForce',
    'a force makes what is here durable itself in the model; test/disk/owner/claim.test.ts',
  ],
  [
    'seize opened: failed, the files can not be opened | without open',
    'no invariant says that a force succeeds: test/disk/owner/claim.test.ts',
  ],
  [
    'seize opened: failed, the files can not be opened | without persist owner, by force',
    'no invariant says that a force succeeds: test/disk/owner/claim.test.ts',
  ],
  [
    'seize opened: failed, the files can not be opened | without prepareForce',
    'a force makes what is here durable itself in the model; test/disk/owner/claim.test.ts',
  ],
  [
    'settle asked, take settling: done, `refused`, and no later owner is told of | without startCompletion',
    'no small space ends this work with blocks on other nodes',
  ],
  [
    'take settled: done, files are here that are not open | without startCompletion',
    'no small space ends this work with blocks on other nodes',
  ],
]);
