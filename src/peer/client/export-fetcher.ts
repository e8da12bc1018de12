/**
 * Reads all bytes of a small export of a peer, over one connection that it makes and ends.
 *
 * When to use: for manifests and records, which are read once. Invariant: the size is checked
 * before memory is allocated.
 */
import { CopseError } from '../../base/error.js';
import { parsePeerAddress } from '../../cluster/address.js';
import { formatPeerExport, type PeerExport } from '../wire/export-name.js';
import { connectToPeer } from './connect.js';

/** Timeout of connecting and handshake together, in ms. */
const timeoutMs = 5000;
/** Bytes of one read. */
const pieceBytes = 4 * 1024 * 1024;

/**
 * @param wanted.maxBytes bound on the size of the export
 * @throws what `connectToPeer` and its client throw; CopseError `ERR_PEER_EXPORT` if the export is
 *   larger than `maxBytes`
 */
export async function fetchExport(
  address: string,
  wanted: PeerExport,
  { maxBytes, signal }: { maxBytes: number; signal?: AbortSignal | undefined },
): Promise<Buffer> {
  const exportName = formatPeerExport(wanted);
  const client = await connectToPeer(parsePeerAddress(address), { exportName, timeoutMs, signal });
  try {
    const { sizeBytes } = client;
    if (sizeBytes > maxBytes)
      throw new CopseError('ERR_PEER_EXPORT', `${address} offers ${exportName} with ${sizeBytes} bytes; at most ${maxBytes} are allowed`);
    const bytes = Buffer.alloc(sizeBytes);
    const sink = { data: (piece: Buffer, offset: number) => void piece.copy(bytes, offset), zeroes: () => {} };
    for (let at = 0; at < sizeBytes; at += pieceBytes) await client.read(at, Math.min(pieceBytes, sizeBytes - at), sink, { signal });
    return bytes;
  } finally {
    client.destroy();
  }
}
