/**
 * The only loader of the addon, and the calls that belong to no file and no lane.
 *
 * Asynchronous calls run on the addon's own threads, never on libuv's. A buffer belongs to the call until its promise
 * settles; until then it must not be transferred, detached or resized. Offsets and lengths are safe integers. Errors of
 * the operating system carry Node's usual `code` (`EIO`, `ENOSPC`, `ENOTSUP`, …). A wrong argument is a bug of the
 * caller. It throws at once, also from a call that returns a promise: a TypeError `ERR_INVALID_ARG_TYPE` or a
 * RangeError `ERR_OUT_OF_RANGE`.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { NativeBlockFile } from './block.js';
import type { ChunkFileOptions, NativeChunkFile } from './chunk.js';
import type { LaneOptions, NativeLane, NativeLease } from './lane.js';
import type { NativeOverlayFile, OverlayFileOptions } from './overlay.js';

export interface NativeAddon {
  /** `create` with mode 0600. `direct` goes past the page cache (O_DIRECT) for what is aligned to 4096 bytes, where the file system can. */
  openBlockFile(path: string, options: { write: boolean; create?: boolean; direct?: boolean }): NativeBlockFile;
  /**
   * Makes a chunk file in memory, and reads the records of its map unless `load` is false: then call `load`. Files are opened, and made where they are missing, by the
   * first call that needs them: `ESTALE` when they are not those that were there before. Synchronous: 10 GiB in 64 KiB chunks are 1.3 MB of records; holes cost nothing.
   */
  openChunkFile(options: ChunkFileOptions): NativeChunkFile;
  /** Opens or creates both files (mode 0600); reads all sectors of the map that are not holes. Synchronous. Throws `EBADMSG` for a rotten map, `EAGAIN` when the data file is open as an overlay already. */
  openOverlayFile(options: OverlayFileOptions): NativeOverlayFile;
  /**
   * Writes a whole map file for an overlay: a byte a block as described there (`changed` marks are dropped), `header` before them, at most `recordsOffset` bytes. Durable when it resolves; runs of base stay holes.
   * The file must not exist (`EEXIST`). `states` is the call's until it settles.
   */
  writeOverlayMap(
    options: { mapPath: string; recordsOffset: number; recordSeed: number; header: Uint8Array },
    states: Uint8Array,
  ): Promise<void>;
  /** CRC-32C (Castagnoli), SSE4.2 where there is one. `seed` is the CRC of what came before. */
  crc32c(data: Uint8Array, start?: number, end?: number, seed?: number): number;
  /** The same without special instructions: what other processors run. */
  crc32cByTable(data: Uint8Array, start?: number, end?: number, seed?: number): number;
  /** Gives the whole pages of a buffer's memory back to the system. The buffer stays usable, its content is undefined; nobody else may have a view of it. */
  discardMemory(data: Uint8Array): void;
  /** Gives memory that the allocator of native code holds for later back to the system, on a thread. */
  trimMemory(): Promise<void>;
  /** Whether every byte is zero. */
  isZero(data: Uint8Array, start: number, end: number): boolean;
  /**
   * Takes an exclusive lock (flock) on the file, created if missing, without waiting. Returns the descriptor to keep, or -1 when somebody else, in
   * this process or another, has it. The end of the process or worker lets go of it.
   */
  lockFile(path: string): number;
  unlockFile(descriptor: number): void;
  /** Who connected a unix socket (SO_PEERCRED, unix(7)); pid 0 for a process of a pid namespace that this one can't see. Throws the system's error for what is no unix socket. */
  peerCredentials(descriptor: number): { pid: number; uid: number; gid: number };
  /**
   * Has the kernel end a TCP connection once bytes that were sent stay unacknowledged, or wait for the other end's
   * window, for that time (TCP_USER_TIMEOUT, tcp(7)). 0: the kernel's own rule. Throws the system's error, `ENOTSUP`
   * for what is no TCP socket.
   */
  setUserTimeout(descriptor: number, timeoutMs: number): void;
  /**
   * Opens a pidfd of the process that connected a unix socket; the caller closes it. Throws the system's error: `ESRCH` for
   * a process that has gone or is in a pid namespace that can't be seen, another one where the kernel gives no pidfd.
   */
  openPeerProcess(descriptor: number): number;
  /** True if the process of a pidfd has ended. Throws the system's error. */
  hasProcessEnded(pidfd: number): boolean;
  /** Throws the system's error when there is no descriptor or thread to be had. */
  openLane(options: LaneOptions): NativeLane;
  openLease(): NativeLease;
  /** Sends one datagram to a unix socket (a leading `@`: the abstract namespace) without waiting. Throws the system's error. */
  sendDatagram(path: string, text: string): void;
}

const require = createRequire(import.meta.url);

/** dist/src/base/native/loader.js and src/base/native/loader.ts lie at different depths below the package's root. */
function packageRoot(): string {
  return fileURLToPath(new URL(import.meta.url.includes('/dist/src/') ? '../../../../' : '../../../', import.meta.url));
}

/**
 * A compiled addon goes before a prebuilt one. In a checkout it is the newer of the two. In an installation it was
 * compiled because the prebuilt one did not load.
 */
export const native: NativeAddon = require('node-gyp-build')(packageRoot());
