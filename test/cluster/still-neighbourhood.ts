/** A neighbourhood that changes only when a test says so, and then remembers its former views as the real one does. */
import type { Neighbourhood, WeightedNode } from '../../src/cluster/neighbourhood.js';

export class StillNeighbourhood implements Neighbourhood {
  readonly selfId: string;
  readonly isCutOff = false;
  revision = 1;
  /** How often it was asked for a view. */
  homesAsked = 0;
  #nodes: readonly WeightedNode[];
  #former: (readonly WeightedNode[])[] = [];

  constructor(selfId: string, nodes: readonly WeightedNode[]) {
    this.selfId = selfId;
    this.#nodes = nodes;
  }

  /** From now on these are there. */
  see(nodes: readonly WeightedNode[]): void {
    this.#former = [this.#nodes, ...this.#former].slice(0, 4);
    this.#nodes = nodes;
    this.revision += 1;
  }

  homesOf(): readonly WeightedNode[] {
    this.homesAsked += 1;
    return this.#nodes;
  }

  formerHomesOf(): readonly (readonly WeightedNode[])[] {
    return this.#former;
  }

  holdersOf(): readonly never[] {
    return [];
  }

  peer(): undefined {
    return undefined;
  }

  suspect(): void {}

  onChange(): () => void {
    return () => {};
  }
}

/** `node-000`, `node-001`, …: each of weight 1 unless told. */
export function nodesOf(count: number, weight: (index: number) => number = () => 1): WeightedNode[] {
  return Array.from({ length: count }, (_, index) => ({ id: `node-${String(index).padStart(3, '0')}`, weight: weight(index) }));
}
