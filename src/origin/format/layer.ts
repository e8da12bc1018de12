/**
 * What the decoding of a foreign format stands on: the container's bytes, twice (to read here, and as a private export for
 * qemu-nbd), and the layers below it that the operator named.
 *
 * Invariant: nothing in these types is a path or an address that came out of an image.
 */
import { type Origin, OriginError } from '../origin.js';

/** The one thing of the outside that qemu-nbd gets to see of an image file. Given by the daemon. */
export interface PrivateExport {
  /**
   * Serves the raw bytes on a private unix socket until the handle is closed. May be called again, also before that.
   *
   * @param patches what is served in place of the container's own bytes. Only layers with a mapped backing file have any: a name that QEMU saw
   *   in the header it would add to the node that it is given instead, and refuse both
   */
  open(patches?: readonly Patch[]): Promise<PrivateExportHandle>;
}

/** Bytes that stand in for others of the same place. Few and short; patches of one container do not overlap. */
export interface Patch {
  readonly offset: number;
  readonly bytes: Buffer;
}

export interface PrivateExportHandle {
  /** Absolute, at most 107 bytes, reachable by this user alone. */
  readonly socketPath: string;
  readonly exportName: string;
  /**
   * How many reads the export answered with an error so far, and why it did so last. NBD carries no more than an errno, so
   * without this a changed origin, an origin that is away and a broken image can't be told apart.
   */
  failure?(): { count: number; error: unknown };
  close(): Promise<void>;
}

/** An image file in some format, as bytes. */
export interface FormatContainer {
  /** The raw bytes, pinned, with retries: read by detection and guard. Owned, and closed, by whoever made the container. */
  readonly origin: Origin;
  readonly privateExport: PrivateExport;
}

/** One image file and how to read it. */
export interface FormatLayer {
  readonly container: FormatContainer;
  /** One of `supportedFormats`, or `raw`. */
  readonly format: string;
  /** Backing files that the operator allows: the name as the image writes it, and what stands for it. */
  readonly backing?: Readonly<Record<string, FormatLayer>> | undefined;
}

/** The longest chain of backing files that is followed. */
export const maxLayerCount = 16;

/**
 * The formats that are decoded: those whose every way of naming another file is known to `guard/`. QEMU knows more; each
 * waits here until somebody wrote its guard.
 */
export const supportedFormats = ['parallels', 'qcow', 'qcow2', 'qed', 'vdi', 'vhdx', 'vmdk', 'vpc'] as const;
export type SupportedFormat = (typeof supportedFormats)[number];

export function isSupportedFormat(format: string): format is SupportedFormat {
  return supportedFormats.some((supported) => supported === format);
}

/** The error for a format that is not decoded; says what can be done instead. Code `ERR_FORMAT`. */
export function unsupportedFormat(format: string, url: string): OriginError {
  const remedy =
    format === 'luks'
      ? 'its content is encrypted and Copse holds no keys; give --format raw to serve the ciphertext as it is'
      : `supported are raw, ${supportedFormats.join(', ')}; convert it with qemu-img, or give --format raw to serve the file as it is`;
  return new OriginError('ERR_FORMAT', `${url}: format ${format} is not decoded: ${remedy}`);
}
