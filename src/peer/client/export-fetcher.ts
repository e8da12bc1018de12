/** All bytes of a small export of a peer. */
import { CopseError } from '../../base/error.js';
import { parsePeerAddress } from '../../cluster/address.js';
import { formatPeerExport, type PeerExport } from '../wire/export-name.js';
import { connectToPeer } from './connect.js';

const timeoutMs = 5000;
const pieceBytes = 4 * 1024 * 1024;

/** @throws what `connectToPeer` and its client do; CopseError `ERR_PEER_EXPORT` when it is larger than `maxBytes` */
export async function fetchExport(
  address: string,
  wanted: PeerExport,
  { maxBytes, signal }: { maxBytes: number; signal?: AbortSignal | undefined },
): Promise<Buffer> {
  const exportName = formatPeerExport(wanted);
  const client = await connectToPeer(parsePeerAddress(address), { exportName, timeoutMs, signal });
  try {
    const { sizeBytes } = client;
    if (sizeBytes > maxBytes) throw new CopseError('ERR_PEER_EXPORT', `${address} offers ${exportName} with ${sizeBytes} bytes`);
    const bytes = Buffer.alloc(sizeBytes);
    const sink = { data: (piece: Buffer, offset: number) => void piece.copy(bytes, offset), zeroes: () => {} };
    for (let at = 0; at < sizeBytes; at += pieceBytes) await client.read(at, Math.min(pieceBytes, sizeBytes - at), sink, { signal });
    return bytes;
  } finally {
    client.destroy();
  }
}
