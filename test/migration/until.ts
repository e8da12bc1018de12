/** Waits for what has no event of its own. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Many times what anything here takes on a busy machine: who waits so long waits for ever. */
const guardMs = 300_000;

/** Asks until there is an answer. @throws with what was seen last, when there is none for five minutes */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined>,
  lastSeen: () => Promise<unknown> = async () => '',
): Promise<T> {
  for (const endMs = performance.now() + guardMs; ; await sleep(50)) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > endMs) throw new Error(`waited in vain for ${what}: ${JSON.stringify(await lastSeen())}`);
  }
}
