/** Makes what was written to an export durable. qemu-img flushes, too, when it closes one, and says nothing when that fails. */

/** @throws what the NBD client throws: the disk's errors, as `ENOSPC`, by their codes */
export async function flushExport(uri: string, signal: AbortSignal): Promise<void> {
  const { NbdClient } = await import('../nbd/client/nbd-client.js');
  const client = await NbdClient.connect(uri, { signal });
  try {
    await client.flush({ signal });
    await client.disconnect();
  } finally {
    client.destroy();
  }
}
