/** A sealed image's manifest from a peer, over its export `manifest/DIGEST`. */
import { CopseError } from '../../base/error.js';
import { parsePeerAddress } from '../../cluster/peer/address.js';
import { formatPeerExport } from '../../cluster/peer/export-name.js';
import { maxManifestBytes } from '../../manifest/format.js';
import { NbdClient } from '../../nbd/client/nbd-client.js';
import type { ManifestFetcher } from '../manifest-source.js';

const timeoutMs = 5000;
const pieceBytes = 4 * 1024 * 1024;

export function manifestFetcher(peerId: string, address: string): ManifestFetcher {
  return {
    name: peerId,
    fetch: async (digest, signal) => {
      const exportName = formatPeerExport({ kind: 'manifest', digest: digest.replace(/^blake3:/, '') });
      const client = await NbdClient.connect({ address: parsePeerAddress(address), exportName }, { timeoutMs, signal });
      try {
        const { sizeBytes } = client;
        if (sizeBytes > maxManifestBytes) throw new CopseError('ERR_MANIFEST', `peer ${peerId} offers a manifest of ${sizeBytes} bytes`);
        const bytes = Buffer.alloc(sizeBytes);
        const sink = { data: (piece: Buffer, offset: number) => void piece.copy(bytes, offset), zeroes: () => {} };
        for (let at = 0; at < sizeBytes; at += pieceBytes) await client.read(at, Math.min(pieceBytes, sizeBytes - at), sink, { signal });
        return bytes;
      } finally {
        client.destroy();
      }
    },
  };
}
