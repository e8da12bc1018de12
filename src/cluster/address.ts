/** Address of a peer, HOST:PORT or `[V6]:PORT`, as an NBD address. */
import { CopseError } from '../base/error.js';
import { type NbdAddress, parseNbdUri } from '../nbd/codec/uri.js';

/** @throws CopseError `ERR_URL` */
export function parsePeerAddress(text: string): NbdAddress {
  if (!/:\d+$/.test(text) || text.includes('/')) {
    throw new CopseError('ERR_URL', `"${text}" is no address of a peer: write HOST:PORT, or [ADDRESS]:PORT for IPv6`);
  }
  return parseNbdUri(`nbd://${text}/`).address;
}
