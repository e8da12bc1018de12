/**
 * A scenario with faults at its steps, over real folders: one in four of all pairs, another one at each step. All of them
 * ran on the machine of ownership before; `test/disk/machine` explores every fault at every step of it in memory.
 *
 * COPSE_FAULTS=all tries each pair.
 */
import type { Test } from 'tap';
import { faults, type Plan } from './fault.js';
import { begin, type Play, settle } from './scenario.js';

export interface Enumeration {
  scenario(play: Play): Promise<void>;
  /** Who is to have the disk in the end. */
  lastId: string;
  /** What goes wrong in any case. */
  always?: Plan[];
  /** Of the steps that happen when nothing else goes wrong. */
  steps: RegExp;
}

export async function enumerate(t: Test, { scenario, lastId, steps, always = [] }: Enumeration): Promise<void> {
  const dry = begin(t, ...always);
  await scenario(dry);
  await settle(dry, lastId);
  t.same(dry.room.wrong, [], 'without a fault');
  const chosen = [...new Set(dry.room.steps)].filter((step) => steps.test(step));
  t.comment(chosen.join(', '));
  let doneCount = 0;
  const part = process.env['COPSE_FAULTS'] === 'all' ? 1 : 4;
  let triedCount = 0;
  for (const [stepIndex, step] of chosen.entries()) {
    for (const [faultIndex, fault] of faults.entries()) {
      if ((stepIndex + faultIndex) % part !== 0) continue;
      // A guest waits for these blocks, and no time passes in a scenario while one does.
      if (/demand$/.test(step) && fault.startsWith('slow')) continue;
      triedCount += 1;
      await t.test(`${step}: ${fault}`, async (t) => {
        const play = begin(t, ...always, { step, fault });
        await scenario(play);
        await settle(play, lastId);
        if (play.room.doneCount > always.length) doneCount += 1;
        t.same(play.room.wrong, [], play.room.steps.join(', '));
      });
    }
  }
  // Steps of the background may come in another order, and some not at all.
  t.ok(doneCount > 0.7 * triedCount, `${doneCount} of ${triedCount} happened`);
}
