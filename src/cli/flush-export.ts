/** Flushes an export. qemu-img flushes when it closes an export, but it ignores a failure. */

/** @throws errors of the NBD client, with the disk's codes, as `ENOSPC` */
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
