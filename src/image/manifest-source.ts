/**
 * Gets the manifest of a sealed content from this node's store, from a peer, or from the URL that
 * the operator named.
 *
 * Invariant: the manifest has the digest of the pin. A manifest with another digest is passed over.
 */
import { AbortedError, errorCode, errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';
import type { ManifestPin } from '../catalog/image-record.js';
import type { ManifestFetcher } from '../manifest/fetcher.js';
import { ManifestError } from '../manifest/format.js';
import { Manifest } from '../manifest/manifest.js';
import type { ManifestStore } from '../manifest/store.js';
import type { OriginCredential } from '../origin/origin.js';
import { fetchManifest } from './manifest-fetch.js';

export interface ManifestSourceOptions {
  store: ManifestStore;
  /** Returns the fetchers in the order in which they are tried; called each time anew. */
  fetchers?: (() => readonly ManifestFetcher[]) | undefined;
  credentials: readonly OriginCredential[];
  log: Logger;
}

export class ManifestSource {
  readonly #options: ManifestSourceOptions;

  constructor(options: ManifestSourceOptions) {
    this.#options = options;
  }

  /**
   * Resolves to the manifest, which is in this node's store then.
   *
   * @throws ManifestError if it is nowhere; OriginError and ManifestError of its URL; `ERR_ABORTED`
   */
  async ensure(pin: ManifestPin, signal?: AbortSignal): Promise<Manifest> {
    const { store, credentials, log } = this.#options;
    const known = (await store.get(pin.digest)) ?? (await this.#fromOthers(pin.digest, signal));
    if (known !== undefined) return known;
    if (pin.url === undefined) {
      throw new ManifestError(
        'ERR_MANIFEST',
        `no node has the manifest ${pin.digest}: name its URL by --manifest, or seal the image again`,
      );
    }
    return store.put(await fetchManifest(pin.url, pin.digest, { credentials, log, signal }));
  }

  async #fromOthers(digest: string, signal: AbortSignal | undefined): Promise<Manifest | undefined> {
    const { store, fetchers, log } = this.#options;
    for (const fetcher of fetchers?.() ?? []) {
      try {
        return await store.put(Manifest.decode(await fetcher.fetch(digest, signal), digest));
      } catch (error) {
        if (signal?.aborted) throw new AbortedError(`manifest ${digest}`, { cause: error });
        if (errorCode(error) === 'ERR_STATE') throw error;
        const fields = { from: fetcher.name, digest, code: errorCode(error), reason: errorMessage(error) };
        if (error instanceof ManifestError) log.error(fields, 'a source sent another manifest than the requested one');
        else log.debug(fields, 'a source did not give the manifest');
      }
    }
    return undefined;
  }
}
