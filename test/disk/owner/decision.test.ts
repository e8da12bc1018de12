/** Handovers are accepted or refused, never both: an acceptance that is under way is told, and a promise is kept. */
import t from 'tap';
import { Driver, type Hands, underWay } from '../../../src/disk/owner/driver.js';
import type { Decision, Effect, Facts, Ownership } from '../../../src/disk/owner/state.js';

const giver = { id: 'A', address: 'A:1' };

/** A node whose files and notes are plain values, and whose waiting effects wait for the test. */
class Desk implements Hands {
  readonly driver = new Driver(this);
  heldEpoch = 0;
  refusedEpoch = 0;
  file: Ownership | undefined;
  readonly replies: string[] = [];

  facts(): Facts {
    const { file, heldEpoch, refusedEpoch } = this;
    return {
      ...{ file, heldEpoch, refusedEpoch, hasFiles: file !== undefined, force: undefined, told: undefined, selfId: 'B' },
      ...{ isExplicit: false, isLossy: false, hasSnapshots: false },
    };
  }

  perform(effect: Effect): unknown {
    switch (effect.kind) {
      case 'ask':
      case 'inherit':
      case 'open':
        return underWay;
      case 'persist':
        this.file = { state: 'owner', epoch: 1, ...this.file, ...effect.file };
        this.heldEpoch = this.file.epoch;
        return undefined;
      case 'refuse':
        this.refusedEpoch = effect.epoch;
        return undefined;
      case 'reply':
        this.replies.push(effect.answer);
        return undefined;
      case 'reject':
        this.replies.push(`no: ${effect.why}`);
        return undefined;
      default:
        return undefined;
    }
  }

  resolve(epoch: number): Decision {
    this.replies.length = 0;
    this.driver.dispatch({ kind: 'want', work: { kind: 'resolve', id: '', epoch } });
    return this.replies[0] as Decision;
  }

  /** Up to the answer of the giver. */
  take(): void {
    this.driver.dispatch({ kind: 'want', work: { kind: 'take', id: 'take', reason: 'write' } });
  }

  given(epoch: number): void {
    this.driver.ended('job', { giver, handover: { epoch } });
  }
}

t.test('nothing is refused that is being accepted', async (t) => {
  const desk = new Desk();
  desk.take();
  t.equal(desk.resolve(2), 'pending', 'a takeover is about to begin an acceptance');
  desk.given(2);
  t.equal(desk.resolve(2), 'pending');
  desk.driver.ended('job');
  t.equal(desk.heldEpoch, 2);
  t.equal(desk.resolve(2), 'pending', 'the files name an epoch before the acceptance is over');
  desk.driver.ended('job');
  t.equal(desk.resolve(2), 'accepted');
});

t.test('an epoch that was refused is not accepted', async (t) => {
  const desk = new Desk();
  t.equal(desk.resolve(2), 'refused');
  desk.take();
  desk.replies.length = 0;
  desk.given(2);
  t.same(desk.replies, ['no: promised']);
  t.equal(desk.file, undefined);
  desk.take();
  desk.given(4);
  desk.driver.ended('job');
  t.match(desk.file, { state: 'owner', epoch: 4 });
});

t.test('an acceptance that failed can be refused', async (t) => {
  const desk = new Desk();
  desk.take();
  desk.given(2);
  desk.driver.failed('job', new Error('no map'));
  t.equal(desk.resolve(2), 'refused');
});

t.test('an epoch that was accepted long ago is told so while a later one is under way', async (t) => {
  const desk = new Desk();
  desk.file = { state: 'granted', epoch: 2, to: { ...giver, accepted: true } };
  desk.heldEpoch = 2;
  desk.take();
  t.equal(desk.resolve(2), 'accepted');
  desk.given(5);
  t.equal(desk.resolve(2), 'accepted');
  t.equal(desk.resolve(5), 'pending');
});
