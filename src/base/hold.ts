/** Timers of the clock and idle connections don't keep the process alive. A start that waits for nothing else must. */

/** Settles as `work` does; until then the process does not end by itself. */
export async function holdProcess<T>(work: Promise<T>): Promise<T> {
  const hold = setInterval(() => {}, 0x7fff_ffff);
  try {
    return await work;
  } finally {
    clearInterval(hold);
  }
}
