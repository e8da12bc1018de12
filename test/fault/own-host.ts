/**
 * An address of the loopback that this process has for itself: its id, in 127.64.0.0/10.
 *
 * A port that was given up for a moment, or was only looked up, is nobody else's here: no other test listens at this address, and the kernel takes 127.0.0.1 for whoever connects.
 */
const { pid } = process;

export const ownHost = `127.${64 + ((pid >> 16) & 63)}.${(pid >> 8) & 255}.${pid & 255}`;
