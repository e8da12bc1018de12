/** Long work that reports how far it is. */

export interface Progress {
  doneBytes: number;
  totalBytes: number;
}

export interface JobOptions {
  /** Aborted when the caller no longer wants the result. */
  signal: AbortSignal;
  onProgress(progress: Progress): void;
}
