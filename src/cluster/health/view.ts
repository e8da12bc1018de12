/**
 * Computes the possible homes and the holders of each content from the statements of live nodes. It
 * keeps earlier homes, too.
 *
 * Invariant: an answer is a new array exactly if it differs. So comparing arrays shows a change.
 */

import type { WeightedNode } from '../neighbourhood.js';
import type { NodeStatement } from '../node.js';
import type { Peer } from '../peer.js';

export interface LiveNode {
  statement: NodeStatement;
  /** `undefined` for this node. */
  peer: Peer | undefined;
}

interface ContentView {
  homes: readonly WeightedNode[];
  holders: readonly Peer[];
  /** Earlier homes, newest first. None equals `homes` or another one, and none is empty. */
  former: readonly (readonly WeightedNode[])[];
}

const maxFormerViews = 4;

export class View {
  #contents = new Map<string, ContentView>();

  homesOf(contentId: string): readonly WeightedNode[] {
    return this.#contents.get(contentId)?.homes ?? [];
  }

  formerHomesOf(contentId: string): readonly (readonly WeightedNode[])[] {
    return this.#contents.get(contentId)?.former ?? [];
  }

  holdersOf(contentId: string): readonly Peer[] {
    return this.#contents.get(contentId)?.holders ?? [];
  }

  /**
   * @param nodes sorted by id
   * @returns true if any answer differs now
   */
  update(nodes: readonly LiveNode[]): boolean {
    const before = this.#contents;
    const after = new Map<string, ContentView>();
    let changed = false;
    for (const [id, serving] of nodesByContent(nodes)) {
      const old = before.get(id) ?? { homes: [], holders: [], former: [] };
      const next = renewed(old, homesAmong(serving), holdersAmong(serving));
      if (next !== old) changed = true;
      after.set(id, next);
    }
    if (before.size !== after.size || [...before.keys()].some((id) => !after.has(id))) changed = true;
    this.#contents = after;
    return changed;
  }
}

interface Serving {
  node: LiveNode;
  weighted: WeightedNode;
  originReachable: boolean;
}

function nodesByContent(nodes: readonly LiveNode[]): Map<string, Serving[]> {
  const contents = new Map<string, Serving[]>();
  for (const node of nodes) {
    const { id, donatedBytes } = node.statement;
    const weighted = { id, weight: donatedBytes };
    for (const content of node.statement.contents) {
      const serving = contents.get(content.id);
      const entry = { node, weighted, originReachable: content.originReachable };
      if (serving === undefined) contents.set(content.id, [entry]);
      else serving.push(entry);
    }
  }
  return contents;
}

function homesAmong(serving: readonly Serving[]): WeightedNode[] {
  const able = serving.filter(({ node: { statement } }) => statement.donatedBytes > 0 && !statement.draining);
  const reaching = able.filter(({ originReachable }) => originReachable);
  return (reaching.length > 0 ? reaching : able).map(({ weighted }) => weighted);
}

function holdersAmong(serving: readonly Serving[]): Peer[] {
  return serving.flatMap(({ node }) => node.peer ?? []);
}

/** @returns `old` itself if nothing differs */
function renewed(old: ContentView, homes: WeightedNode[], holders: Peer[]): ContentView {
  const sameHomes = isSameHomes(old.homes, homes);
  const sameHolders = old.holders.length === holders.length && old.holders.every((peer, index) => peer === holders[index]);
  if (sameHomes && sameHolders) return old;
  return {
    homes: sameHomes ? old.homes : homes,
    holders: sameHolders ? old.holders : holders,
    former: sameHomes ? old.former : formerOf(old, homes),
  };
}

/** A peer that comes and goes does not push out the earlier homes. */
function formerOf(old: ContentView, homes: readonly WeightedNode[]): (readonly WeightedNode[])[] {
  const others = old.former.filter((view) => !isSameHomes(view, old.homes));
  return [old.homes, ...others].filter((view) => view.length > 0 && !isSameHomes(view, homes)).slice(0, maxFormerViews);
}

function isSameHomes(left: readonly WeightedNode[], right: readonly WeightedNode[]): boolean {
  return left.length === right.length && left.every(({ id, weight }, index) => id === right[index]?.id && weight === right[index]?.weight);
}
