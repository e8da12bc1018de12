/**
 * Closes the files of overlays that nobody uses: an open overlay holds four descriptors, and a node may have thousands of disks.
 *
 * The overlay itself knows whether it is in use, and whether something of it is to be flushed; then it stays open. Whoever needs
 * it next opens the files again.
 */
import { errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import type { NativeOverlayFile } from '../../base/native/overlay.js';

/** How often it is looked which overlays nobody has used since the last look. */
const lookMs = 5000;

/** Of all disks of the process. The value is where trouble is told. */
const overlays = new Map<NativeOverlayFile, Logger>();
let timer: NodeJS.Timeout | undefined;

/** Closes the overlay's files now, and whenever nobody used them for a while. */
export function watchIdle(overlay: NativeOverlayFile, log: Logger): void {
  overlays.set(overlay, log);
  park(overlay, log);
  timer ??= setInterval(parkAll, lookMs).unref();
}

/** The overlay is about to be closed. */
export function forgetIdle(overlay: NativeOverlayFile): void {
  overlays.delete(overlay);
  if (overlays.size > 0) return;
  clearInterval(timer);
  timer = undefined;
}

function parkAll(): void {
  for (const [overlay, log] of overlays) park(overlay, log);
}

function park(overlay: NativeOverlayFile, log: Logger): void {
  try {
    overlay.park();
  } catch (error) {
    log.warn({ reason: errorMessage(error) }, 'files of an idle disk stay open');
  }
}
