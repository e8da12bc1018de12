/**
 * How many requests may be asked twice: each request earns a twentieth of a hedge, so that hedges are never more than 5 % of the requests, and what is
 * saved up in quiet times is bounded, so that a storm of slow answers does not become a storm of hedges.
 *
 * Invariant: hedges ≤ requests / 20, counted from the beginning. Whole numbers, so that nothing is lost or won by rounding.
 */
const requestsPerHedge = 20;

export class HedgeBudget {
  readonly #limit: number;
  #earned = 0;

  /** @param savedLimit the most hedges that are saved up, at least 1 */
  constructor(savedLimit = 10) {
    this.#limit = savedLimit * requestsPerHedge;
  }

  /** A request was made that is no hedge. */
  earn(): void {
    this.#earned = Math.min(this.#limit, this.#earned + 1);
  }

  /** Whether a hedge may be made now; it is paid for then. */
  trySpend(): boolean {
    if (this.#earned < requestsPerHedge) return false;
    this.#earned -= requestsPerHedge;
    return true;
  }
}
