/** Operations on the images of a daemon. */
import type { JobOptions } from '../base/job.js';
import type { ImageAddRequest, ImageStatus, SealResult, VerifyResult, WarmResult } from './schema-image.js';

export interface WarmOptions extends JobOptions {
  /** True if the cluster's cache is filled, each chunk once, over its homes. */
  cluster?: boolean | undefined;
}

/** Each method but `list` and `add` throws `ERR_NO_SUCH_IMAGE` for an unknown name. */
export interface ImageControl {
  /** Sorted by name. */
  list(): Promise<ImageStatus[]>;
  status(name: string): Promise<ImageStatus>;
  /**
   * Pins the origin's present content and serves it under the name. Idempotent for equal requests.
   * A request that differs in the deadline alone changes that.
   */
  add(request: ImageAddRequest): Promise<ImageStatus>;
  /**
   * Disks over the image go on. @throws CopseError `ERR_IMAGE_IN_USE` while clients are attached,
   * or another image is built on it
   */
  rename(name: string, newName: string): Promise<ImageStatus>;
  /**
   * Removes cached chunks, too, if no other image shares them. @throws CopseError
   * `ERR_IMAGE_IN_USE` while clients are attached
   */
  remove(name: string): Promise<void>;
  /** Moves the name to the origin's present content. Attached clients keep the old content. */
  repin(name: string): Promise<ImageStatus>;
  /**
   * Fetches absent chunks to this host, or with `cluster` to their homes. @throws CopseError
   * `ERR_NOT_CLUSTERED`
   */
  warm(name: string, options: WarmOptions): Promise<WarmResult>;
  /** Reads all cached chunks and compares their checksums. */
  verify(name: string, options: JobOptions): Promise<VerifyResult>;
  /** Reads the whole image and writes its manifest. */
  seal(name: string, options: JobOptions): Promise<SealResult>;
}
