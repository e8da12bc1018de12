/** The block sizes that every device of ours has. */
import type { BlockSize } from './device.js';

/** Any offset and length is served; 4 KiB is what guests and the page cache work in. */
export const blockSize: BlockSize = { minimumBytes: 1, preferredBytes: 4096, maximumBytes: 32 * 1024 * 1024 };
