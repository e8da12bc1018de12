/** The lab's devices and what limits them, as batches of iproute2's commands: a process for each command would take seconds. */
import { execa } from 'execa';
import type { LabPlace } from './place.js';

/** Small enough for tbf to be smooth, large enough that a gigabit is not a hundred thousand packets a second. */
const largestPacketBytes = 16 * 1024;
const burstBytes = 20 * 1024;
/** Queue before a shaped link: 8 ms at 1 Gbit/s, 42 at 200 Mbit/s. */
const queueBytes = 2 ** 20;

const originGateway = '10.32.0.254';
const switchAddress = '10.31.255.254';

/** Where the hub's end of the wire to the origin is. */
export const nearDevice = 'near';

async function batch(program: 'ip' | 'tc', netns: string, commands: readonly string[]): Promise<void> {
  if (commands.length > 0) await execa(program, ['-n', netns, '-batch', '-'], { input: `${commands.join('\n')}\n` });
}

function shaping(device: string, bitsPerSecond: number): string[] {
  if (bitsPerSecond === 0) return [];
  return [`qdisc add dev ${device} root tbf rate ${bitsPerSecond}bit burst ${burstBytes} limit ${queueBytes}`];
}

/** Each connection starts as if it were the first: else what one run taught the kernel about an address would help the next. */
async function forgetConnections(netns: string): Promise<void> {
  await execa('ip', ['netns', 'exec', netns, 'sysctl', '-qw', 'net.ipv4.tcp_no_metrics_save=1']);
}

/** The switch that all hosts' cables end in; it routes to the origin. The hosts' namespaces exist. */
export async function wireHosts(hub: string, hosts: readonly LabPlace[], bitsPerSecond: number): Promise<void> {
  const port = (index: number): string => `h${index + 1}`;
  await batch('ip', hub, [
    'link add switch type bridge',
    `address add ${switchAddress}/16 dev switch`,
    'link set switch up',
    ...hosts.flatMap((host, index) => [
      `link add ${port(index)} type veth peer name ${host.device} netns ${host.netns}`,
      `link set ${port(index)} gso_max_size ${largestPacketBytes} master switch up`,
    ]),
  ]);
  await batch(
    'tc',
    hub,
    hosts.flatMap((_, index) => shaping(port(index), bitsPerSecond)),
  );
  await execa('ip', ['netns', 'exec', hub, 'sysctl', '-qw', 'net.ipv4.ip_forward=1']);
  await Promise.all(
    hosts.map(async ({ netns, device, address }) => {
      await batch('ip', netns, [
        'link set lo up',
        `link set ${device} gso_max_size ${largestPacketBytes} up`,
        `address add ${address}/16 dev ${device}`,
        `route add default via ${switchAddress}`,
      ]);
      await batch('tc', netns, shaping(device, bitsPerSecond));
      await forgetConnections(netns);
    }),
  );
}

/** The line between the hub and the origin; the relay has made both ends. */
export async function wireOrigin(hub: string, origin: LabPlace, bitsPerSecond: number): Promise<void> {
  const ends = [
    { netns: hub, device: nearDevice, own: originGateway, other: origin.address },
    { netns: origin.netns, device: origin.device, own: origin.address, other: originGateway },
  ];
  for (const { netns, device, own, other } of ends) {
    await batch('ip', netns, [
      'link set lo up',
      `link set ${device} gso_max_size ${largestPacketBytes} txqueuelen 4096 up`,
      `address add ${own} peer ${other} dev ${device}`,
      ...(netns === origin.netns ? [`route add default via ${originGateway}`] : []),
    ]);
    await batch('tc', netns, shaping(device, bitsPerSecond));
  }
  await forgetConnections(origin.netns);
  // Packets of many slow connections as large as those of one fast one: fewer pass the relay.
  await execa('ip', ['netns', 'exec', origin.netns, 'sysctl', '-qw', 'net.ipv4.tcp_min_tso_segs=10']);
}
