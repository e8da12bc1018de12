/**
 * Fetches the manifest of a sealed image from a peer, over its export `manifest/DIGEST`. The caller
 * compares the bytes with the digest.
 */

import { digestHex } from '../../base/digest-text.js';
import type { ManifestFetcher } from '../../manifest/fetcher.js';
import { maxManifestBytes } from '../../manifest/format.js';
import { fetchExport } from './export-fetcher.js';

export function manifestFetcher(peerId: string, address: string): ManifestFetcher {
  return {
    name: peerId,
    fetch: (digest, signal) =>
      fetchExport(address, { kind: 'manifest', digest: digestHex(digest) }, { maxBytes: maxManifestBytes, signal }),
  };
}
