/** Servers, one on each host of the lab, and their start together. A directory of its own each, removed with them. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Closeable, Lifecycle } from '../../../../src/base/lifecycle.js';
import type { LabPlace } from '../../../lab/place.js';
import { startColdNbdkit } from '../../server/nbdkit.js';
import type { RunningServer } from '../../server/server.js';
import { type CopseNode, startNode, waitUntilWhole } from './node.js';

export interface Fleet<Server extends RunningServer = RunningServer> extends Closeable {
  readonly kind: 'copse' | 'nbdkit';
  readonly servers: readonly Server[];
}

/** The image's name in every server. */
export const imageName = 'image';

export interface CopseFleet extends Fleet<CopseNode> {
  readonly servers: CopseNode[];
  /** Starts one more node, with an empty cache, on a place that was `later`; resolves once all know each other. */
  join(place: LabPlace): Promise<CopseNode>;
}

/**
 * One Copse for each place, in one cluster; each knows all others, and that they serve the image. A place alone is in no cluster.
 *
 * @param later places of nodes that may join: they are among everybody's peers from the start
 */
export async function startCopseFleet(
  workDir: string,
  places: readonly LabPlace[],
  url: string,
  later: readonly LabPlace[] = [],
): Promise<CopseFleet> {
  const running = new Lifecycle();
  const dir = await ownDir(running, workDir);
  const start = async (place: LabPlace, index: number): Promise<CopseNode> => {
    const nodeDir = join(dir, String(index));
    await mkdir(nodeDir);
    const peers = [...places, ...later];
    return running.own(await startNode(nodeDir, { place, nodeId: `host-${index + 1}`, peers, images: { [imageName]: url } }));
  };
  try {
    const servers = await together(places.map(start));
    await waitUntilWhole(servers, imageName, servers.length);
    return {
      kind: 'copse',
      servers,
      async join(place) {
        const server = await start(place, servers.length);
        servers.push(server);
        await waitUntilWhole(servers, imageName, servers.length);
        return server;
      },
      close: () => running.close(),
    };
  } catch (cause) {
    await running.close();
    throw cause;
  }
}

/** nbdkit's curl plugin with cow-on-read on each place: what hosts do that know nothing of each other. */
export async function startNbdkitFleet(workDir: string, places: readonly LabPlace[], url: string): Promise<Fleet> {
  const running = new Lifecycle();
  const dir = await ownDir(running, workDir);
  try {
    const servers = await together(
      places.map(async (place, index) => {
        const nodeDir = join(dir, String(index));
        await mkdir(nodeDir);
        return running.own(await startColdNbdkit(nodeDir, url, (command, args) => place.command(command, args)));
      }),
    );
    return { kind: 'nbdkit', servers, close: () => running.close() };
  } catch (cause) {
    await running.close();
    throw cause;
  }
}

/** Short names: unix sockets lie in it, and their paths end at 107 bytes. */
async function ownDir(running: Lifecycle, workDir: string): Promise<string> {
  const dir = await mkdtemp(join(workDir, 'f'));
  running.own({ close: () => rm(dir, { recursive: true, force: true }) });
  return dir;
}

/** All of them, also when one fails: what was started must be known to whoever ends it. */
async function together<T>(starts: readonly Promise<T>[]): Promise<T[]> {
  const outcomes = await Promise.allSettled(starts);
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}
