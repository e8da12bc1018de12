/** Handovers are accepted or refused, never both: whoever asks while one is under way is told so, and a promise is kept. */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { HandoverDecisions } from '../../../src/disk/owner/decision.js';
import { DiskNotes } from '../../../src/disk/session/notes.js';

const uuid = '0b54a3cd-92f9-4b6c-9a5e-0a64c3a1f5d2';

function make(t: Test): { decisions: HandoverDecisions; held: { epoch: number }; path: string } {
  const path = join(t.testdir(), 'disk-notes.json');
  const held = { epoch: 0 };
  const notes = new DiskNotes({ path, isAlive: () => undefined });
  return { decisions: new HandoverDecisions({ notes, heldEpoch: () => held.epoch }), held, path };
}

t.test('nothing is refused that is being accepted, though nobody knows of a takeover', async (t) => {
  const { decisions, held } = make(t);
  const end = decisions.begin(uuid, 2);
  t.equal(decisions.resolve(uuid, 2, false), 'pending');
  // What the files say is not durable before it is over.
  held.epoch = 2;
  t.equal(decisions.resolve(uuid, 2, false), 'pending');
  end();
  t.equal(decisions.resolve(uuid, 2, false), 'accepted');
});

t.test('what was refused is not accepted, by the next process neither', async (t) => {
  const { decisions, path } = make(t);
  t.equal(decisions.resolve(uuid, 2, false), 'refused');
  t.throws(() => decisions.begin(uuid, 2), { code: 'ERR_NOT_OWNER' });
  const notes = new DiskNotes({ path, isAlive: () => undefined });
  t.throws(() => new HandoverDecisions({ notes, heldEpoch: () => 0 }).begin(uuid, 2), { code: 'ERR_NOT_OWNER' });
  decisions.begin(uuid, 4)();
});

t.test('one that failed can be refused, and one that is about to begin is not', async (t) => {
  const { decisions } = make(t);
  decisions.begin(uuid, 2)();
  t.equal(decisions.resolve(uuid, 2, true), 'pending');
  t.equal(decisions.resolve(uuid, 2, false), 'refused');
});

t.test('what was accepted long ago is told so while a later one is under way', async (t) => {
  const { decisions, held } = make(t);
  held.epoch = 2;
  t.equal(decisions.resolve(uuid, 2, true), 'accepted');
  const end = decisions.begin(uuid, 5);
  t.equal(decisions.resolve(uuid, 2, true), 'accepted');
  t.equal(decisions.resolve(uuid, 5, true), 'pending');
  t.throws(() => decisions.begin(uuid, 5), { code: 'ERR_BUSY' });
  end();
});
