/** Comparing what a guest reads with what the origin holds. */
import type { Session } from '../conformance/wire/session.js';

/** What waits so long waits for ever, however slow machine and disk are: it is named before the test's own time is over. */
export const patienceMs = 300_000;

/** Reads all of the export, `depth` requests in flight, and returns the offsets of blocks that differ or failed. */
export async function differences(session: Session, expected: Buffer, blockBytes = 256 * 1024, depth = 8): Promise<string[]> {
  const wrong: string[] = [];
  const flying: { cookie: bigint; offset: number; lengthBytes: number }[] = [];
  const settle = async (): Promise<void> => {
    const next = flying.shift();
    if (next === undefined) return;
    const answer = await session.answer(next.cookie);
    if (answer.error !== 0) wrong.push(`${next.offset}: error ${answer.error} ${answer.message}`);
    else if (!answer.data.equals(expected.subarray(next.offset, next.offset + next.lengthBytes))) wrong.push(`${next.offset}: wrong bytes`);
  };
  for (let offset = 0; offset < expected.length; offset += blockBytes) {
    const lengthBytes = Math.min(blockBytes, expected.length - offset);
    flying.push({ cookie: session.send({ type: 0, offset, lengthBytes }), offset, lengthBytes });
    if (flying.length >= depth) await settle();
  }
  while (flying.length > 0) await settle();
  return wrong;
}

/** Waits until `condition` holds, looking every few milliseconds; fails when it looks as if it never would. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${patienceMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** What `work` settles to; a failure that names it when it hangs. */
export async function comes<T>(what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const hangs = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${patienceMs} ms`)), patienceMs);
  });
  return await Promise.race([work, hangs]).finally(() => clearTimeout(timer));
}
