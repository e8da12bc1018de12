/** Answers how a handover ended, for a disk without files here: the same machine on notes alone. */
import type { DiskNotes } from '../session/notes.js';
import { Driver, type Hands } from './driver.js';
import type { Decision, Effect, Facts } from './state.js';

export interface NotesOfDisks {
  readonly options: { notes: DiskNotes };
  durablyHeldEpoch(uuid: string): number;
}

/** Answers whether this node has accepted the epoch. `refused` is a durable promise. */
export function resolveElsewhere(home: NotesOfDisks, uuid: string, epoch: number): Decision {
  const { notes } = home.options;
  let answer: Decision = 'pending';
  const hands: Hands = {
    facts: (): Facts => ({
      file: undefined,
      hasFiles: false,
      heldEpoch: home.durablyHeldEpoch(uuid),
      refusedEpoch: notes.refusedEpoch(uuid),
      force: undefined,
      told: undefined,
      selfId: undefined,
      isExplicit: false,
      isLossy: false,
      hasSnapshots: false,
    }),
    perform(effect: Effect) {
      if (effect.kind === 'refuse') notes.refuse(uuid, effect.epoch);
      if (effect.kind === 'reply') answer = effect.answer as Decision;
      if (effect.kind === 'reject') throw new Error(`the promise could not be noted`);
    },
  };
  new Driver(hands).dispatch({ kind: 'want', work: { kind: 'resolve', id: '', epoch } });
  return answer;
}
