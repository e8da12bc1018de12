/** The block sizes of every device. */
import type { BlockSize } from './device.js';

/** Devices serve any offset and length. Guests and the page cache work in 4 KiB. */
export const blockSize: BlockSize = { minimumBytes: 1, preferredBytes: 4096, maximumBytes: 32 * 1024 * 1024 };
