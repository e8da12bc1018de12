/**
 * Two session-mode libvirtds of the test's own, between which guests move: unprivileged, without namespaces, in one file system.
 *
 * Both see the same paths. Where each is to have a daemon of its own, the export's socket has to be the same path on both sides
 * (a mount namespace each), or an address.
 */
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Libvirt, startLibvirt } from '../example/libvirt.js';
import type { Place } from './place.js';

export interface TwoLibvirtds {
  a: Libvirt;
  b: Libvirt;
  /** Resolves when the guest runs at the other. */
  migrate(domain: string, from: Libvirt, to: Libvirt): Promise<void>;
}

/** End with the place. Guests that still run are destroyed first. */
export async function startTwoLibvirtds(place: Place): Promise<TwoLibvirtds> {
  const start = async (name: string, digit: number): Promise<Libvirt> => {
    const dir = join(place.dir, name);
    await mkdir(dir);
    const libvirt = await startLibvirt({ dir, lifetime: place.lifetime, hostUuid: `b5b5b5b5-0000-4000-8000-00000000000${digit}` });
    place.lifetime.onEnd(async () => {
      for (const uuid of (await libvirt.virsh('list', '--uuid')).split('\n').filter(Boolean)) await libvirt.virsh('destroy', uuid);
    });
    return libvirt;
  };
  const [a, b] = await Promise.all([start('a', 1), start('b', 2)]);
  const meeting = join(place.dir, 'meeting');
  await mkdir(meeting);
  await chmod(meeting, 0o777);
  let count = 0;
  return {
    a,
    b,
    async migrate(domain, from, to) {
      count += 1;
      await from.virsh('migrate', '--live', domain, to.uri, '--migrateuri', `unix://${meeting}/${count}.sock`);
    },
  };
}
