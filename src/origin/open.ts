/** Opens the origin behind a URL. The only place that knows all kinds. */

import { displayUrl } from '../base/display-url.js';
import { type Logger, silentLogger } from '../base/log.js';
import { NbdClient } from '../nbd/client/nbd-client.js';
import { type FileOptions, FileOrigin, type FilePinOptions, pinFile } from './file/file.js';
import { HttpOrigin, type HttpOriginOptions, pinHttp } from './http/http.js';
import { nbdError } from './nbd/failure.js';
import { type NbdOptions, NbdOrigin, nbdContexts } from './nbd/nbd.js';
import { type Origin, OriginError, type OriginIdentity, originUserTimeoutMs } from './origin.js';
import { originKind } from './url.js';

/** `sealed`: true if a manifest guards each chunk, so that only the size has to match. */
export interface OriginOptions extends HttpOriginOptions, FileOptions, NbdOptions {
  log?: Logger | undefined;
}

/** `digest` is for files alone. */
export interface PinOptions extends OriginOptions, FilePinOptions {}

/**
 * Opens the origin of pinned content. It makes no connection and touches no file: a fault there
 * shows at the first read.
 *
 * @throws OriginError `ERR_ORIGIN_REFUSED` if the URL is of no supported kind, or the identity is
 * not of the URL's kind
 */
export function openOrigin(url: string, identity: OriginIdentity, options: OriginOptions = {}): Origin {
  const kind = originKind(url);
  if (kind === 'http' && identity.kind === 'http') return new HttpOrigin(url, identity, options);
  if (kind === 'file' && identity.kind === 'file') return new FileOrigin(url, identity, options);
  if (kind === 'nbd' && identity.kind === 'nbd') {
    return new NbdOrigin(displayUrl(url), identity, () => connectNbd(url, options), options);
  }
  throw new OriginError('ERR_ORIGIN_REFUSED', `${displayUrl(url)} was pinned as ${identity.kind}, which it is not: pin it again`);
}

/**
 * Asks the origin for its present content. One attempt; texts of errors give the remedy.
 *
 * @throws OriginError, and `ERR_ABORTED`
 */
export async function pinOrigin(url: string, options: PinOptions = {}): Promise<OriginIdentity> {
  const kind = originKind(url);
  const identity = await (kind === 'http' ? pinHttp(url, options) : kind === 'file' ? pinFile(url, options) : pinNbd(url, options));
  if (identity.sizeBytes > 0) return identity;
  throw new OriginError('ERR_ORIGIN_REFUSED', `${displayUrl(url)} is empty`);
}

/** @throws OriginError and `ERR_ABORTED` */
async function pinNbd(url: string, options: OriginOptions & { signal?: AbortSignal | undefined }): Promise<OriginIdentity> {
  try {
    const client = await connectNbd(url, options, options.signal);
    const { sizeBytes } = client;
    client.destroy();
    return { kind: 'nbd', sizeBytes };
  } catch (cause) {
    throw nbdError(displayUrl(url), cause, false);
  }
}

function connectNbd(url: string, options: OriginOptions, signal?: AbortSignal): Promise<NbdClient> {
  const { connectTimeoutMs = 10_000, log = silentLogger } = options;
  return NbdClient.connect(url, { contexts: nbdContexts, timeoutMs: connectTimeoutMs, userTimeoutMs: originUserTimeoutMs, log, signal });
}
