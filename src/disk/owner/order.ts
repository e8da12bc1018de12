/**
 * The order of effects that keeps a disk's data, asserted in one place. A fact is durable here
 * before this node tells it to another one.
 *
 * The driver checks each list of effects before the first effect runs.
 */
import { isGrantedTo } from './rule.js';
import type { Effect, Facts, Ownership, Work } from './state.js';

/** @throws Error that names the effect which comes too early */
export function assertOrder(effects: readonly Effect[], facts: Facts, work?: Work): void {
  let file: Ownership | undefined = facts.file;
  let { refusedEpoch } = facts;
  // True if native lanes may still answer as an owner that this node is not any more.
  let areLanesOld = false;
  let isFenced = false;
  let isHeld = file === undefined;
  for (const effect of effects) {
    switch (effect.kind) {
      case 'fence':
        isFenced = true;
        break;
      case 'hold':
        isHeld = true;
        break;
      case 'persist': {
        const before = file;
        const next: Ownership = { ...(before ?? { state: 'incoming', epoch: 1 }), ...effect.file };
        if (before?.state === 'owner' && next.state === 'granted') {
          require(isFenced, effect, 'the fences come before the disk goes');
          areLanesOld = true;
        }
        file = next;
        break;
      }
      case 'refuse':
        refusedEpoch = Math.max(refusedEpoch, effect.epoch);
        break;
      case 'refreshLanes':
        areLanesOld = false;
        break;
      case 'removeFolder':
        require(isHeld, effect, 'the note of the last epoch comes before the files go');
        break;
      case 'ask':
        if (effect.method === 'accepted')
          require(file?.state === 'owner' && file.epoch === effect.epoch, effect, 'the owner is durable before the giver hears of it');
        if (effect.method === 'release') require(file?.state === 'owner' && file.epoch === effect.epoch, effect, 'an owner releases');
        break;
      case 'reply':
        require(!areLanesOld, effect, 'native lanes are refreshed before the reply');
        if (effect.answer === 'handover') require(isGrantedTo(file, work?.node?.id ?? ''), effect, 'the grant is durable before the reply');
        if (effect.answer === 'refused') require(refusedEpoch >= (work?.epoch ?? 1), effect, 'the promise is durable before the reply');
        break;
      default:
    }
  }
}

function require(isSo: boolean, effect: Effect, rule: string): void {
  if (!isSo) throw new Error(`effect ${effect.kind} is out of order: ${rule}`);
}
