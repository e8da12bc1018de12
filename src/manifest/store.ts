/**
 * Manifests of this node, one file each, named by its digest.
 *
 * Invariant: the result of `get` has the requested digest, whatever happened to the file. Each
 * manifest is in memory once, as long as it is in use.
 */
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { digestFromHex, digestHex, isDigestHex } from '../base/digest-text.js';
import { CopseError, errorCode, errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { writeDurably } from '../base/write-durably.js';
import { maxManifestBytes } from './format.js';
import { Manifest } from './manifest.js';

export class ManifestStore {
  readonly #dir: string;
  readonly #log: Logger;
  readonly #used = new Map<string, WeakRef<Manifest>>();

  /** @param dir exists; it is this store's alone */
  constructor(dir: string, log: Logger) {
    this.#dir = dir;
    this.#log = log;
  }

  /** @returns the path of the manifest, there or not. @throws CopseError `ERR_DIGEST` */
  pathOf(digest: string): string {
    return join(this.#dir, digestHex(digest));
  }

  /**
   * @returns the manifest, or `undefined` if it is not there. A damaged one is removed. @throws
   * CopseError `ERR_DIGEST`, `ERR_STATE`
   */
  async get(digest: string): Promise<Manifest | undefined> {
    const path = this.pathOf(digest);
    const used = this.#used.get(digest)?.deref();
    if (used !== undefined) return used;
    try {
      const { size } = await stat(path);
      const manifest = Manifest.decode(size > maxManifestBytes ? Buffer.alloc(0) : await readFile(path), digest);
      return this.#remember(manifest);
    } catch (error) {
      const code = errorCode(error);
      if (code === 'ENOENT') return undefined;
      if (code !== 'ERR_MANIFEST' && code !== 'ERR_DIGEST_MISMATCH') {
        throw new CopseError('ERR_STATE', `manifest ${path} can't be read: ${errorMessage(error)}`, { cause: error });
      }
      this.#log.error({ file: path, reason: errorMessage(error) }, 'this manifest is damaged and removed; it is asked for again');
      await rm(path, { force: true });
      return undefined;
    }
  }

  /**
   * Keeps a manifest, durably when it resolves. @returns the one in memory with this digest.
   * @throws CopseError `ERR_STATE`
   */
  async put(manifest: Manifest): Promise<Manifest> {
    const { digest } = manifest;
    const known = await this.get(digest);
    if (known !== undefined) return known;
    const path = this.pathOf(digest);
    try {
      await writeDurably(path, manifest.bytes, 0o600);
    } catch (error) {
      throw new CopseError('ERR_STATE', `manifest ${path} can't be written: ${errorMessage(error)}`, { cause: error });
    }
    return this.#remember(manifest);
  }

  /** Removes a manifest that no image uses any more. A user that has it in memory keeps it. */
  async remove(digest: string): Promise<void> {
    this.#used.delete(digest);
    await rm(this.pathOf(digest), { force: true });
  }

  /** @returns digests of all manifests here, sorted. Removes leftovers of interrupted writes. */
  async list(): Promise<string[]> {
    const files = await readdir(this.#dir);
    for (const file of files) if (file.endsWith('.new')) await rm(join(this.#dir, file), { force: true });
    return files.filter(isDigestHex).sort().map(digestFromHex);
  }

  #remember(manifest: Manifest): Manifest {
    for (const [digest, reference] of this.#used) if (reference.deref() === undefined) this.#used.delete(digest);
    this.#used.set(manifest.digest, new WeakRef(manifest));
    return manifest;
  }
}
