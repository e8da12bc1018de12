/**
 * Three hosts in network namespaces, a daemon on each, in one cluster: two on one switch, and a third behind a slow way. All serve
 * the image that the disks lie over.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Closeable, Lifecycle } from '../../src/base/lifecycle.js';
import { Lab } from '../lab/lab.js';
import { Host } from '../migration/host.js';
import { until } from '../support/wait.js';
import { writeImage } from './image.js';

export class Fleet implements Closeable {
  readonly lab: Lab;
  readonly hosts: readonly Host[];
  readonly #parts: Lifecycle;

  private constructor(lab: Lab, hosts: readonly Host[], parts: Lifecycle) {
    this.lab = lab;
    this.hosts = hosts;
    this.#parts = parts;
  }

  /** @param latencyMs to the third host and back */
  static async start(latencyMs: number, imageBytes: number): Promise<Fleet> {
    const parts = new Lifecycle();
    try {
      const dir = await mkdtemp(join(tmpdir(), 'copse-s-'));
      parts.own({ close: () => rm(dir, { recursive: true, force: true }) });
      await mkdir(dir, { recursive: true });
      const imagePath = join(dir, 'base.raw');
      await writeImage(imagePath, imageBytes);
      const lab = parts.own(await Lab.start({ hostCount: 2, originLatencyMs: latencyMs, originBitsPerSecond: 1e9 }));
      const peers = [...lab.hosts, lab.origin];
      const hosts = await Promise.all(
        peers.map(async (place, index) =>
          parts.own(await Host.start({ place, peers, nodeId: `host-${index}`, dir: join(dir, `${index}`), imagePath })),
        ),
      );
      const fleet = new Fleet(lab, hosts, parts);
      await fleet.whole();
      return fleet;
    } catch (cause) {
      await parts.close();
      throw cause;
    }
  }

  /** Resolves once all hosts see each other. */
  async whole(): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.sees(this.hosts.length)));
  }

  /** Resolves once one host alone has a folder of each disk, and has all of it. */
  async settled(diskNames: readonly string[]): Promise<void> {
    for (const name of diskNames) {
      await until(
        `one owner of ${name}`,
        async () => {
          const all = await Promise.all(this.hosts.map((host) => host.disk(name)));
          const owners = all.filter(({ place }) => place === 'owner');
          return owners.length === 1 && owners.every(({ toCome }) => toCome.length === 0);
        },
        () => Promise.all(this.hosts.map((host) => host.disk(name).catch(String))),
      );
    }
    await until(
      'no folders but the owners',
      async () => {
        const folders = (await Promise.all(this.hosts.map((host) => host.folders()))).flat();
        return folders.length === diskNames.length;
      },
      () => Promise.all(this.hosts.map((host) => host.folders())),
    );
  }

  async close(): Promise<void> {
    await this.#parts.close();
  }
}
