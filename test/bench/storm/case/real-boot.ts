/**
 * Real guests: QEMU boots the demo's Debian disk on a host that just joined a cluster which holds the boot, and again when the host holds it itself.
 *
 * The guest's own work is most of it (TCG where there is no KVM), and differs from boot to boot by more than the disk's share.
 */

import { mkdtemp, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { execa } from 'execa';
import { chooseAccelerator } from '../../../../examples/demo/accelerator.js';
import { bootGuest } from '../../../../examples/demo/guest.js';
import { Lifetime } from '../../../../examples/demo/lifetime.js';
import { packageRoot } from '../../harness/place.js';
import { median } from '../../harness/statistic.js';
import type { StormCase } from '../context.js';
import { startCopseFleet } from '../lab/fleet.js';
import { FarOrigin } from '../lab/origin.js';
import { hostsOf } from '../run.js';

const memberCount = 3;
/** Many times what a boot was seen to take. */
const timeoutMs = 180_000;

export const realBoot: StormCase = {
  name: 'real-boot',
  async run(context) {
    context.say("the demo's disk (built once, about a minute)");
    const { stdout } = await execa(join(packageRoot, 'examples/demo/cached-disk'), ['minimal'], { stderr: 'inherit' });
    const diskPath = stdout.trim();
    const { size: diskSizeBytes } = await stat(diskPath);
    const workDir = await mkdtemp(join(context.workDir, 'q'));
    const lifetime = new Lifetime();
    await context.origin.close();
    const origin = await FarOrigin.start(context.lab, join(workDir, 'nginx'), dirname(diskPath));
    const figures: { cold: number; warm: number }[] = [];
    try {
      const accelerator = await chooseAccelerator(lifetime, { workDir, diskPath, diskSizeBytes });
      const newcomer = context.lab.hosts[memberCount];
      if (newcomer === undefined) throw new Error('the lab is too small');
      for (let round = 0; round < context.rounds; round += 1) {
        const fleet = await startCopseFleet(workDir, hostsOf(context, memberCount), origin.url('copse', basename(diskPath)), [newcomer]);
        try {
          const boot = async (index: number, name: string): Promise<number> => {
            const server = fleet.servers[index];
            if (server === undefined) throw new Error(`there is no server ${index}`);
            context.say(`QEMU (${accelerator}): ${name}`);
            const image = { driver: 'nbd', server: { type: 'unix', path: server.socketPath }, export: server.exportName };
            const options = { workDir, name: `${round}-${name}`, accelerator, image, imageSizeBytes: diskSizeBytes, timeoutMs };
            return (await bootGuest(lifetime, options)).secondsToUserspace;
          };
          await boot(0, 'first');
          await fleet.join(newcomer);
          const figure = { cold: await boot(memberCount, 'cold'), warm: await boot(memberCount, 'warm') };
          context.keep('real-boot', { accelerator, ...figure });
          figures.push(figure);
        } finally {
          await fleet.close();
        }
      }
    } finally {
      await lifetime.end();
      await origin.close();
      await context.origin.resume();
      await rm(workDir, { recursive: true, force: true });
    }
    const ratios = figures.map(({ cold, warm }) => cold / warm);
    const [cold, warm] = [median(figures.map((figure) => figure.cold)), median(figures.map((figure) => figure.warm))];
    return {
      rows: [
        {
          work: 'host-cold, cluster-warm ÷ host-warm, real QEMU boots to userspace',
          measured: `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)}): ${cold.toFixed(2)} s, ${warm.toFixed(2)} s`,
          wanted: '',
        },
      ],
    };
  },
};
