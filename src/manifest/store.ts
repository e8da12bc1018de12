/**
 * The manifests that this node has, one file each, named by its digest.
 *
 * Invariant: what `get` returns has the digest that it was asked for, whatever happened to the file; each is in memory once, for as long as somebody uses it.
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

  /** Where the manifest lies, or would. @throws CopseError `ERR_DIGEST` */
  pathOf(digest: string): string {
    return join(this.#dir, digestHex(digest));
  }

  /** The manifest, or `undefined` where it is not there. One that is damaged is removed. @throws CopseError `ERR_DIGEST`, `ERR_STATE` */
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

  /** Durable when it resolves. @returns the one in memory with this digest. @throws CopseError `ERR_STATE` */
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

  /** For one that no image uses any more. Whoever has it in memory keeps it. */
  async remove(digest: string): Promise<void> {
    this.#used.delete(digest);
    await rm(this.pathOf(digest), { force: true });
  }

  /** Digests of all that lie here, sorted. Removes what a write that was cut short left behind. */
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
