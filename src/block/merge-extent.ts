/** Lists of adjacent parts of a range, in order, without a limit on the kinds of parts. */

/**
 * Adds a part behind the last one, or lengthens the last one where the two are alike.
 *
 * @param part becomes the list's where it is added; its length may change later
 * @param maxCount most parts that the list may have
 * @returns false if the list is full and the part is not like its last one: the list is as before
 */
export function mergeExtent<T extends { lengthBytes: number }>(
  extents: T[],
  part: T,
  alike: (last: T, part: T) => boolean,
  maxCount = Number.POSITIVE_INFINITY,
): boolean {
  const last = extents.at(-1);
  if (last !== undefined && alike(last, part)) last.lengthBytes += part.lengthBytes;
  else if (extents.length < maxCount) extents.push(part);
  else return false;
  return true;
}
