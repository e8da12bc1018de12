/** Loses on the way from one place of the lab to another what carries a certain text: a step of what they say to each other, for as long as that is wanted. Connections hang: nobody is told. */
import type { LabPlace } from '../lab/place.js';

/** What nodes say of disks, as it can be recognized in a packet. */
export const step = {
  /** The request to hand over. */
  handover: '"disk.handover"',
  /** The answer to it: no other has these. */
  grant: '"nodes":',
  /** The confirmation of the new owner. */
  accepted: '"disk.accepted"',
  /** Opening the former owner's blocks. */
  blocks: 'blocks/',
} as const;

/** Why this kernel can't; undefined when it can. Called in a lab. */
export async function noPacketDrop(place: LabPlace): Promise<string | undefined> {
  try {
    await place.run('iptables', ['-w', '-A', 'INPUT', ...match('10.255.255.255', 'x')]);
    return undefined;
  } catch {
    return 'iptables knows no string match here';
  }
}

/** @returns what ends it: what was lost is sent again by TCP, and arrives */
export async function drop(from: LabPlace, to: LabPlace, text: string): Promise<() => Promise<void>> {
  await to.run('iptables', ['-w', '-I', 'INPUT', ...match(from.address, text)]);
  let isOn = true;
  return async () => {
    if (!isOn) return;
    isOn = false;
    await to.run('iptables', ['-w', '-D', 'INPUT', ...match(from.address, text)]);
  };
}

function match(fromAddress: string, text: string): string[] {
  return ['-s', fromAddress, '-m', 'string', '--algo', 'bm', '--string', text, '-j', 'DROP'];
}
