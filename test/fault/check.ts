/** Comparing what a guest reads with what the origin holds. */
import type { Session } from '../conformance/wire/session.js';

/** Reads all of the export, `depth` requests in flight, and returns the offsets of blocks that differ or failed. */
export async function differences(session: Session, expected: Buffer, blockBytes = 256 * 1024, depth = 8): Promise<string[]> {
  const wrong: string[] = [];
  const flying: { cookie: bigint; offset: number; lengthBytes: number }[] = [];
  const settle = async (): Promise<void> => {
    const next = flying.shift();
    if (next === undefined) return;
    const answer = await session.answer(next.cookie, 15_000);
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

/** Waits until `condition` holds, looking every few milliseconds; fails after `timeoutMs`. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Milliseconds that `work` takes, and what it gives. */
export async function timed<T>(work: () => Promise<T>): Promise<{ tookMs: number; value: T }> {
  const startMs = performance.now();
  const value = await work();
  return { tookMs: performance.now() - startMs, value };
}
