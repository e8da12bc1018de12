/** Codes of images: catalog, origins, manifests, cache. */
import type { ErrorEntry } from './kind.js';

export const imageErrors = {
  ERR_NO_SUCH_IMAGE: ['notFound', 'The image does not exist.', 'See "copse image ls".'],
  ERR_IMAGE_EXISTS: ['conflict', 'The name is taken.', 'Choose another name, or remove the image first.'],
  ERR_IMAGE_IN_USE: ['conflict', 'Clients, images or disks use the image.', 'Detach or remove them first.'],
  ERR_IMAGE_CONFLICT: ['conflict', 'Another node changed the image at the same time.', 'Look at the image and repeat the operation.'],
  ERR_IMAGE_RECORD: ['internal', 'The record of an image in etcd or at a peer is damaged.', 'Add the image again.'],
  ERR_NOT_SHARED: ['conflict', 'The cluster does not share the content of the image.', 'Read the reason in "copse image status".'],
  ERR_ORIGIN_CHANGED: ['remote', 'The origin has other bytes than the pinned ones.', 'Restore the origin, or use "copse image repin".'],
  ERR_ORIGIN_REFUSED: ['remote', 'The origin answers, but not with the content.', 'Check URL and credentials.'],
  ERR_ORIGIN_PROTOCOL: ['remote', 'The origin breaks its protocol.', 'Use a server with range requests, or a copy.'],
  ERR_ORIGIN_UNAVAILABLE: ['remote', 'The origin can not be reached, or breaks off.', 'Restore the origin. Reads are retried.'],
  ERR_FORMAT: ['remote', 'The format of the image can not be decoded, or is refused.', 'Read the reason in the message.'],
  ERR_MANIFEST: ['remote', 'The manifest is damaged, missing, or of another image.', 'Seal the image again.'],
  ERR_DIGEST_MISMATCH: ['remote', 'Bytes do not match their digest.', 'Restore the origin, or seal the image again.'],
  ERR_CACHE_FULL: ['internal', 'The cache has no room.', 'Raise its budget, or free space on its disk.'],
  ERR_CACHE_BROKEN: ['internal', 'The disk of the cache fails. Reads go past the cache.', 'Repair the disk. The cache resumes by itself.'],
  ERR_LONG_READ: ['internal', 'A source sent more bytes than asked.', 'Report this as a fault of Copse.'],
  ERR_SHORT_READ: ['internal', 'A source sent fewer bytes than asked.', 'Report this as a fault of Copse.'],
  ERR_MAP_HEADER: ['internal', 'The map of a cached image is damaged.', 'None is needed: the cache drops the file and fetches again.'],
  ERR_NOT_HELD: ['internal', 'The cache of this node does not hold the chunk.', 'None is needed: the peer asks another node.'],
} as const satisfies Record<string, ErrorEntry>;
