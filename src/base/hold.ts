/**
 * Keeps the process alive during work. Timers of the clock and idle connections don't, and a start
 * may wait for nothing else.
 */

/** Settles as `work` does; until then the process does not end by itself. */
export async function holdProcess<T>(work: Promise<T>): Promise<T> {
  const hold = setInterval(() => {}, 0x7fff_ffff);
  try {
    return await work;
  } finally {
    clearInterval(hold);
  }
}
