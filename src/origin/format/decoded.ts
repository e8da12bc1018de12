/** Reading what qemu-nbd decoded: an NBD origin over its socket, with block status, so that zeros aren't transferred. */
import type { Logger } from '../../base/log.js';
import { openOrigin, pinOrigin } from '../open.js';
import type { Origin } from '../origin.js';

/** @param sizeBytes what the content must measure; a decoder that says otherwise fails reads with `ERR_ORIGIN_CHANGED` */
export function openDecoded(socketPath: string, sizeBytes: number, log: Logger): Origin {
  return openOrigin(decodedUrl(socketPath), { kind: 'nbd', sizeBytes }, { log });
}

/** The size of the decoded content in bytes. */
export async function decodedSizeBytes(socketPath: string, log: Logger): Promise<number> {
  return (await pinOrigin(decodedUrl(socketPath), { log })).sizeBytes;
}

function decodedUrl(socketPath: string): string {
  return `nbd+unix:///?socket=${encodeURIComponent(socketPath)}`;
}
