/** Readers that check every byte: against a wrong one nothing else counts. */
import type { Session } from '../conformance/wire/session.js';

/** Numbers below `limit`, the same for the same seed. */
export function randomFrom(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

export interface ReadingOptions {
  seed: number;
  /** Reads, or `undefined` to go on until `isOver`. */
  count?: number;
  depth?: number;
  maxBytes?: number;
  /** Looked at before each read. */
  isOver?: () => boolean;
}

/** Random reads, some small, some large; resolves to what was wrong, in words. */
export async function readRandomly(session: Session, expected: Buffer, options: ReadingOptions): Promise<string[]> {
  const { seed, count = Number.POSITIVE_INFINITY, depth = 8, maxBytes = 300_000, isOver = () => false } = options;
  const random = randomFrom(seed);
  const wrong: string[] = [];
  const flying: { cookie: bigint; offset: number; lengthBytes: number }[] = [];
  for (let sent = 0; ; ) {
    while (flying.length < depth && sent < count && !isOver()) {
      const lengthBytes = 1 + random(random(4) === 0 ? maxBytes : 8192);
      const offset = random(expected.length - lengthBytes + 1);
      flying.push({ cookie: session.send({ type: 0, offset, lengthBytes }), offset, lengthBytes });
      sent += 1;
    }
    const next = flying.shift();
    if (next === undefined) return wrong;
    const { cookie, offset, lengthBytes } = next;
    const answer = await session.answer(cookie);
    if (answer.error !== 0) wrong.push(`${lengthBytes} at ${offset}: error ${answer.error} ${answer.message}`);
    else if (!answer.data.equals(expected.subarray(offset, offset + lengthBytes))) wrong.push(`${lengthBytes} at ${offset}`);
  }
}
