/**
 * Records of force among members: this node tells of disks that it took, and asks for those that
 * were taken from it.
 *
 * A deposed owner may come back while the node that took its disk does not answer. The other
 * members have the record then.
 */
import { errorMessage } from '../../base/error.js';
import type { DiskExport } from '../owner/disk-export.js';
import type { DiskRegistry } from '../owner/registry.js';
import { maxUuids } from '../protocol/call.js';
import type { Force, NodeRef } from '../protocol/record.js';

const askMs = 2000;

export class ForceNews {
  readonly #registry: DiskRegistry;
  /**
   * Uuid, epoch and node of everything that was told since this process began, or is being told.
   */
  readonly #told = new Set<string>();

  /** Members that were asked since they came up. */
  readonly #asked = new Set<string>();

  constructor(registry: DiskRegistry) {
    this.#registry = registry;
  }

  /**
   * Tells each member that answers once. Never rejects; a member that did not hear is told with the
   * next call.
   */
  async tell(exports: readonly DiskExport[] = this.#registry.exports): Promise<void> {
    const { peers, log } = this.#registry.options;
    if (peers === undefined) return;
    const tales = exports.flatMap(({ isOwner, hosted, record }) => {
      const force = isOwner ? hosted?.state.forced : undefined;
      return force?.node.id === peers.self.id ? [{ uuid: record.uuid, force }] : [];
    });
    const nodes = peers.up().filter(({ id }) => id !== peers.self.id);
    await Promise.all(
      tales.flatMap(({ uuid, force }) =>
        nodes.map(async (node) => {
          const key = `${uuid} ${force.to} ${node.id}`;
          if (this.#told.has(key)) return;
          this.#told.add(key);
          try {
            await peers.call(node, 'disk.forced', { uuid, force });
          } catch (error) {
            this.#told.delete(key);
            log.debug({ node: node.id, uuid, reason: errorMessage(error) }, 'the node has not noted that a disk was taken by force');
          }
        }),
      ),
    );
  }

  /**
   * Asks each member that came up since the last time for records of force of the disks that this
   * node owns.
   *
   * @param hear is called with each record that deposes this node, before it resolves. Never rejects
   */
  async ask(exports: readonly DiskExport[], hear: (disk: DiskExport, force: Force) => void): Promise<void> {
    const { peers, log } = this.#registry.options;
    if (peers === undefined) return;
    const nodes = peers.up().filter(({ id }) => id !== peers.self.id);
    for (const id of this.#asked) if (!nodes.some((node) => node.id === id)) this.#asked.delete(id);
    if (nodes.every(({ id }) => this.#asked.has(id))) return;
    const owned = exports.filter(({ isOwner }) => isOwner).map(({ record }) => record.uuid);
    await Promise.all(
      nodes.map(async (node) => {
        if (this.#asked.has(node.id)) return;
        this.#asked.add(node.id);
        try {
          await this.#askOne(node, owned, hear);
        } catch (error) {
          this.#asked.delete(node.id);
          log.debug({ node: node.id, reason: errorMessage(error) }, 'the node does not tell which disks were taken by force');
        }
      }),
    );
  }

  async #askOne(node: NodeRef, owned: readonly string[], hear: (disk: DiskExport, force: Force) => void): Promise<void> {
    const { peers } = this.#registry.options;
    for (let at = 0; at < owned.length; at += maxUuids) {
      const uuids = owned.slice(at, at + maxUuids);
      const { forces } = (await peers?.call(node, 'disk.forces', { uuids }, { timeoutMs: askMs })) ?? { forces: {} };
      for (const uuid of uuids) {
        const [disk, force] = [this.#registry.get(uuid), forces[uuid]];
        if (disk?.isOwner && force !== undefined && force.to > (disk.hosted?.state.epoch ?? 0)) hear(disk, force);
      }
    }
  }
}
