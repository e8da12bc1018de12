/** Fetches a manifest from a place that an operator named: HTTP(S), a file, an NBD export. */

import { displayUrl } from '../base/display-url.js';
import { CopseError, errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { ManifestError, maxManifestBytes } from '../manifest/format.js';
import { Manifest } from '../manifest/manifest.js';
import { openOrigin, pinOrigin } from '../origin/open.js';
import type { OriginCredential } from '../origin/origin.js';
import { patiently } from '../origin/patience.js';
import { BufferSink } from '../origin/sink.js';

export interface ManifestFetchOptions {
  credentials: readonly OriginCredential[];
  log: Logger;
  signal?: AbortSignal | undefined;
}

/**
 * Fetches and checks a manifest. Its length is checked before memory is taken for it.
 *
 * @throws ManifestError `ERR_MANIFEST`, `ERR_DIGEST_MISMATCH`; OriginError; `ERR_DEADLINE` if the
 * server takes too long; `ERR_ABORTED`
 */
export async function fetchManifest(url: string, digest: string, options: ManifestFetchOptions): Promise<Manifest> {
  const { signal } = options;
  const identity = await pinOrigin(url, { ...options, sealed: true });
  if (identity.sizeBytes > maxManifestBytes) {
    throw new ManifestError('ERR_MANIFEST', `${displayUrl(url)} has ${identity.sizeBytes} bytes, which is too long for a manifest`);
  }
  const sink = new BufferSink(Buffer.allocUnsafeSlow(identity.sizeBytes));
  const origin = patiently(openOrigin(url, identity, options), options.log);
  try {
    await origin.read(0, identity.sizeBytes, sink, { signal });
  } finally {
    await origin.close();
  }
  try {
    return Manifest.decode(sink.target, digest);
  } catch (error) {
    throw new ManifestError(error instanceof ManifestError ? error.code : 'ERR_MANIFEST', `${displayUrl(url)}: ${errorMessage(error)}`, {
      cause: error instanceof CopseError ? undefined : error,
    });
  }
}
