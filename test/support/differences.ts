/** Comparison of the bytes that a guest reads with those of the origin. */
import type { Session } from '../conformance/wire/session.js';

/**
 * Reads the whole export with `depth` requests in flight.
 *
 * @returns one line for each block that differs or failed, beginning with its offset
 */
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
