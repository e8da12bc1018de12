/** What can happen to one of the things that nodes ask each other. */

/**
 * - `request-lost`: nothing arrives. `answer-lost`: it is done, and nobody hears of it.
 * - `slow-request`, `slow-answer`: they take their time, in which everything else goes on.
 * - `late`: nothing is heard, and it arrives when all is over. `twice`: it arrives, is answered, and arrives again.
 * - `kill-…`: the process of who asks, who is asked, or both ends before it arrives, or after it is done and before the answer is heard.
 */
export const faults = [
  'request-lost',
  'answer-lost',
  'slow-request',
  'slow-answer',
  'late',
  'twice',
  'kill-asker-before',
  'kill-asker-after',
  'kill-asked-before',
  'kill-asked-after',
  'kill-both-before',
  'kill-both-after',
] as const;

export type Fault = (typeof faults)[number];

export interface Plan {
  /** As `Room.steps` names it. */
  step: string;
  fault: Fault;
}
