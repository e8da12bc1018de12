/**
 * Reads the output of qemu-nbd: an NBD origin over its socket, with block status, so that zeros
 * aren't transferred.
 */
import type { Logger } from '../../base/log.js';
import { openOrigin, pinOrigin } from '../open.js';
import type { Origin } from '../origin.js';

/**
 * @param sizeBytes expected size of the content; if the decoder reports another, reads fail with
 * `ERR_ORIGIN_CHANGED`
 */
export function openDecoded(socketPath: string, sizeBytes: number, log: Logger): Origin {
  return openOrigin(decodedUrl(socketPath), { kind: 'nbd', sizeBytes }, { log });
}

/** @returns the size of the decoded content, in bytes */
export async function decodedSizeBytes(socketPath: string, log: Logger): Promise<number> {
  return (await pinOrigin(decodedUrl(socketPath), { log })).sizeBytes;
}

function decodedUrl(socketPath: string): string {
  return `nbd+unix:///?socket=${encodeURIComponent(socketPath)}`;
}
