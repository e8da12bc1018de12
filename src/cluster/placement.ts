/**
 * Chooses the homes of a chunk: the first nodes of a rendezvous over the possible homes of its
 * content, keyed by content and 4 MiB extent.
 *
 * Invariants: it is pure, so all nodes with one view of the cluster name the same homes. Answers
 * follow `Neighbourhood.revision`. The memory between two revisions is bounded: 6 bytes per extent
 * and view.
 */
import { MiB } from '../base/size.js';
import type { Neighbourhood, WeightedNode } from './neighbourhood.js';
import type { PeerContent } from './peer.js';
import { Electorate, hashText } from './rendezvous.js';

/**
 * Chunks of one extent have one home, so that neighbours travel as one request. Many extents make
 * the shares even.
 */
export const extentBytes = 4 * MiB;

/** A home, and the nodes to ask if it fails. */
const homeCount = 3;
/** As many as a neighbourhood tells. */
const formerViewLimit = 4;
/**
 * Extents whose homes are remembered. Of an image beyond 256 GiB, the rest is computed at each
 * question.
 */
const memoExtentLimit = 65_536;

/**
 * Ranks nodes for one answer. `Placement` is for many: it hashes the ids once.
 *
 * @param nodes in any order, distinct ids
 * @returns the ids of the best `count` nodes for an extent, best first
 */
export function rank(contentId: string, extentIndex: number, nodes: readonly WeightedNode[], count: number): string[] {
  const electorate = new Electorate(nodes);
  return electorate.best(hashText(contentId), extentIndex, count).flatMap((index) => electorate.ids[index] ?? []);
}

export class Placement {
  readonly #neighbourhood: Neighbourhood;
  readonly #content: PeerContent;
  #revision: number | undefined;
  #present: View;
  /** Newest first. */
  #former: View[] = [];

  constructor(content: PeerContent, neighbourhood: Neighbourhood) {
    this.#content = content;
    this.#neighbourhood = neighbourhood;
    this.#present = new View(content, []);
  }

  /**
   * @returns the chunk's home, then the nodes to ask if it fails: the best three, or all if there
   * are fewer
   */
  homes(chunkIndex: number): readonly string[] {
    return this.#view().homes(this.#extentOf(chunkIndex));
  }

  /** @returns the home, or `undefined` if no node can be home */
  homeOf(chunkIndex: number): string | undefined {
    return this.#view().home(this.#extentOf(chunkIndex), 0);
  }

  /** True if the node is the first of the chunk's homes. */
  isHome(chunkIndex: number, nodeId: string): boolean {
    return this.homeOf(chunkIndex) === nodeId;
  }

  /**
   * Lists other nodes that may hold the chunk because they were, are or would be its home, the
   * likeliest first, without this node. They are: the present home (if this node is asked as home
   * by a node with another view); the homes of former views; and the present second and third, from
   * which a node that just joined took its extents. Some may be gone: look with
   * `Neighbourhood.peer`.
   */
  formerHomes(chunkIndex: number): string[] {
    const extentIndex = this.#extentOf(chunkIndex);
    const present = this.#view();
    const ids = new Set<string | undefined>([present.home(extentIndex, 0)]);
    for (const view of this.#former) ids.add(view.home(extentIndex, 0));
    for (let place = 1; place < homeCount; place += 1) ids.add(present.home(extentIndex, place));
    ids.delete(this.#neighbourhood.selfId);
    ids.delete(undefined);
    return [...ids].flatMap((id) => id ?? []);
  }

  /** Bytes of remembered homes. */
  get bytes(): number {
    return [...new Set([this.#present, ...this.#former])].reduce((sum, view) => sum + view.bytes, 0);
  }

  /** The extent of its first byte. */
  #extentOf(chunkIndex: number): number {
    return Math.floor((chunkIndex * this.#content.chunkBytes) / extentBytes);
  }

  #view(): View {
    const neighbourhood = this.#neighbourhood;
    if (this.#revision === neighbourhood.revision) return this.#present;
    const known = [this.#present, ...this.#former];
    // Most changes do not touch this content. Views of unchanged nodes stay, and the view that was
    // present becomes the newest former one.
    const viewOf = (nodes: readonly WeightedNode[]): View => {
      const view = known.find((each) => each.electorate.isOf(nodes)) ?? new View(this.#content, nodes);
      known.push(view);
      return view;
    };
    this.#revision = neighbourhood.revision;
    this.#present = viewOf(neighbourhood.homesOf(this.#content.id));
    this.#former = neighbourhood.formerHomesOf(this.#content.id).slice(0, formerViewLimit).map(viewOf);
    return this.#present;
  }
}

/** The homes of all extents among fixed nodes, each computed at the first question. */
class View {
  readonly electorate: Electorate;
  readonly #key: ReturnType<typeof hashText>;
  readonly #memoExtents: number;
  /**
   * `homeCount` numbers per extent: indices in `electorate.ids`, plus one; zeros for unknown homes.
   */
  #memo: Uint16Array | undefined;

  constructor(content: PeerContent, nodes: readonly WeightedNode[]) {
    this.electorate = new Electorate(nodes);
    this.#key = hashText(content.id);
    // An index must fit the memo's two bytes.
    this.#memoExtents = nodes.length < 0xffff ? Math.min(Math.ceil(content.sizeBytes / extentBytes), memoExtentLimit) : 0;
  }

  get bytes(): number {
    return this.#memo?.byteLength ?? 0;
  }

  homes(extentIndex: number): string[] {
    const homes: string[] = [];
    for (let place = 0; place < homeCount; place += 1) {
      const id = this.home(extentIndex, place);
      if (id !== undefined) homes.push(id);
    }
    return homes;
  }

  home(extentIndex: number, place: number): string | undefined {
    if (extentIndex >= this.#memoExtents) return this.electorate.ids[this.#compute(extentIndex)[place] ?? -1];
    this.#memo ??= new Uint16Array(this.#memoExtents * homeCount);
    const at = extentIndex * homeCount;
    if (this.#memo[at] === 0) {
      const best = this.#compute(extentIndex);
      for (const [offset, index] of best.entries()) this.#memo[at + offset] = index + 1;
    }
    return this.electorate.ids[(this.#memo[at + place] ?? 0) - 1];
  }

  #compute(extentIndex: number): number[] {
    return this.electorate.best(this.#key, extentIndex, homeCount);
  }
}
