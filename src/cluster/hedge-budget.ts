/**
 * Bounds how many requests may be asked twice. Each request earns a twentieth of a hedge, so hedges
 * are at most 5 % of the requests. Savings of quiet times are bounded, so a storm of slow answers
 * does not become a storm of hedges.
 *
 * Invariant: hedges ≤ requests / 20, counted from the beginning. Whole numbers, so rounding loses
 * nothing.
 */
const requestsPerHedge = 20;

export class HedgeBudget {
  readonly #limit: number;
  #earned = 0;

  /** @param savedLimit most hedges that are saved up, at least 1 */
  constructor(savedLimit = 10) {
    this.#limit = savedLimit * requestsPerHedge;
  }

  /** Counts a request that is no hedge. */
  earn(): void {
    this.#earned = Math.min(this.#limit, this.#earned + 1);
  }

  /** @returns true if a hedge may be made now; it is paid for then */
  trySpend(): boolean {
    if (this.#earned < requestsPerHedge) return false;
    this.#earned -= requestsPerHedge;
    return true;
  }
}
