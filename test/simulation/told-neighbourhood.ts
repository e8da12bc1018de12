/**
 * A neighbourhood that is told who is there, each process at another moment: for a thousand nodes, which would ping each other a million times a second. Who can be home, and
 * who could before, is the real view's to say.
 */
import { type LiveNode, View } from '../../src/cluster/health/view.js';
import type { Neighbourhood, WeightedNode } from '../../src/cluster/neighbourhood.js';
import type { NodeStatement } from '../../src/cluster/node.js';
import type { Peer } from '../../src/cluster/peer.js';
import type { Process } from './process.js';
import { WirePeer } from './wire-peer.js';

interface Known {
  statement: NodeStatement;
  /** Made when somebody wants it: a million of them would fill the memory. */
  peer: WirePeer | undefined;
}

export class ToldNeighbourhood implements Neighbourhood {
  readonly selfId: string;
  readonly #process: Process;
  readonly #known = new Map<string, Known>();
  readonly #view = new View();
  readonly #listeners = new Set<() => void>();
  /** Something was told since it was last looked: most processes are never asked. */
  #isStale = true;
  #revision = 1;
  isCutOff = false;

  constructor(process: Process) {
    this.#process = process;
    this.selfId = process.id;
  }

  get revision(): number {
    this.#look();
    return this.#revision;
  }

  homesOf(contentId: string): readonly WeightedNode[] {
    this.#look();
    return this.#view.homesOf(contentId);
  }

  formerHomesOf(contentId: string): readonly (readonly WeightedNode[])[] {
    this.#look();
    return this.#view.formerHomesOf(contentId);
  }

  holdersOf(contentId: string): readonly Peer[] {
    this.#look();
    return this.#view.holdersOf(contentId);
  }

  peer(id: string): Peer | undefined {
    const known = this.#known.get(id);
    return known && this.#peerOf(id, known);
  }

  suspect(id: string): void {
    this.#process.world.tell(id, [this.#process], 1000);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @param statement `undefined`: it is gone */
  learn(id: string, statement: NodeStatement | undefined): void {
    const known = this.#known.get(id);
    if (known?.statement === statement || id === this.selfId) return;
    if (known !== undefined && known.statement.startedAt !== statement?.startedAt) {
      known.peer?.destroy(statement === undefined ? 'it is gone' : 'it was started anew');
      this.#known.delete(id);
    }
    if (statement !== undefined) {
      this.#known.set(id, { statement, peer: this.#known.get(id)?.peer });
    }
    this.selfChanged();
  }

  selfChanged(): void {
    this.#isStale = true;
    for (const listener of this.#listeners) listener();
  }

  close(): void {
    for (const { peer } of this.#known.values()) peer?.destroy('this node stops');
  }

  #peerOf(id: string, known: Known): WirePeer {
    known.peer ??= new WirePeer(this.#process, id);
    return known.peer;
  }

  #look(): void {
    if (!this.#isStale) return;
    this.#isStale = false;
    const nodes: LiveNode[] = [{ statement: this.#process.statement, peer: undefined }];
    for (const [id, known] of this.#known) nodes.push({ statement: known.statement, peer: this.#peerOf(id, known) });
    nodes.sort((left, right) => (left.statement.id < right.statement.id ? -1 : 1));
    if (this.#view.update(nodes)) this.#revision += 1;
  }
}
