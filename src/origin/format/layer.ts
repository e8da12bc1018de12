/**
 * Input of the decoding of a foreign format: the container's bytes, twice (to read here, and as a
 * private export for qemu-nbd), and the layers below it that the operator named.
 *
 * Invariant: these types hold no path and no address that came out of an image.
 */
import { type Origin, OriginError } from '../origin.js';

/** The only view that qemu-nbd gets of an image file. The daemon provides it. */
export interface PrivateExport {
  /**
   * Serves the raw bytes on a private unix socket until the handle is closed. May be called again,
   * also before that.
   *
   * @param patches bytes to serve in place of the container's own. Only layers with a mapped
   * backing file have any. QEMU would add a name in the header to the node that it is given
   * instead, and refuse both
   */
  open(patches?: readonly Patch[]): Promise<PrivateExportHandle>;
}

/**
 * Bytes that replace others at the same place. Few and short; patches of one container do not
 * overlap.
 */
export interface Patch {
  readonly offset: number;
  readonly bytes: Buffer;
}

export interface PrivateExportHandle {
  /** Absolute path, at most 107 bytes, reachable by this user alone. */
  readonly socketPath: string;
  readonly exportName: string;
  /**
   * Number of reads that the export answered with an error so far, and the last error. NBD carries
   * no more than an errno. Without this a changed origin, an absent origin and a broken image would
   * look alike.
   */
  failure?(): { count: number; error: unknown };
  close(): Promise<void>;
}

/** An image file in some format, as bytes. */
export interface FormatContainer {
  /**
   * The raw bytes, pinned, with retries. Detection and guard read them. The maker of the container
   * owns and closes it.
   */
  readonly origin: Origin;
  readonly privateExport: PrivateExport;
}

/** One image file and how to read it. */
export interface FormatLayer {
  readonly container: FormatContainer;
  /** One of `supportedFormats`, or `raw`. */
  readonly format: string;
  /**
   * Backing files that the operator allows: the name as the image writes it, and the layer for it.
   */
  readonly backing?: Readonly<Record<string, FormatLayer>> | undefined;
}

/** Longest chain of backing files that Copse follows. */
export const maxLayerCount = 16;

/**
 * Formats that Copse decodes. For each of these, `guard/` knows all ways of naming another file.
 * QEMU knows more formats; each needs a guard first.
 */
export const supportedFormats = ['parallels', 'qcow', 'qcow2', 'qed', 'vdi', 'vhdx', 'vmdk', 'vpc'] as const;
export type SupportedFormat = (typeof supportedFormats)[number];

export function isSupportedFormat(format: string): format is SupportedFormat {
  return supportedFormats.some((supported) => supported === format);
}

/** Makes the error for a format that Copse does not decode, with the remedy. Code `ERR_FORMAT`. */
export function unsupportedFormat(format: string, url: string): OriginError {
  const remedy =
    format === 'luks'
      ? 'its content is encrypted and Copse holds no keys; give --format raw to serve the ciphertext as it is'
      : `supported are raw, ${supportedFormats.join(', ')}; convert it with qemu-img, or give --format raw to serve the file as it is`;
  return new OriginError('ERR_FORMAT', `${url}: format ${format} is not decoded: ${remedy}`);
}
