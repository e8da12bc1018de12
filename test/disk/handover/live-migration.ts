import type { Play } from './scenario.js';
import { writeAtFirst } from './scenario.js';

/** A live migration: the guest at B reads while A's still writes, then B's writes, and A's tries again. */
export async function liveMigration(play: Play): Promise<void> {
  const { room, guest } = play;
  await room.start(['A', 'B']);
  await writeAtFirst(play, 'A');
  await guest('B').readAll();
  await guest('A').write(90, 3);
  const [, wrote] = await Promise.all([guest('B').readAll(), guest('B').write(17, 30), guest('A').write(120, 2)]);
  if (wrote === undefined) await guest('B').flush();
  room.leap();
  await guest('B').readAll();
  await guest('B').write(60, 2);
  await guest('A').write(50, 1);
  await guest('A').readAll();
}
