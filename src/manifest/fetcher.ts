/** A place that may have manifests: a peer. */
export interface ManifestFetcher {
  /** Name for the log. */
  readonly name: string;
  /**
   * Resolves to the manifest's bytes, at most `maxManifestBytes`. Rejects if the place does not
   * have it. Any other error also ends the attempt.
   */
  fetch(digest: string, signal: AbortSignal | undefined): Promise<Buffer>;
}
