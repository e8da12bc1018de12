/** `copse libvirt hook`, which the hook script in examples/libvirt runs. */
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Control } from '../../admin/control.js';
import { CopseError, errorCode } from '../../base/error.js';
import type { Listeners } from '../../libvirt/listener.js';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { printNote } from '../output.js';

interface Options extends DaemonOptions {
  wait: string;
}

const help = `
Reads the domain's XML from standard input. Prints nothing on standard output, because libvirt expects nothing there.
  prepare begin   exits with 0 if this daemon serves all exports of Copse that the domain names
  migrate begin   fetches the images of the domain's disks into this host's cache
Other operations have no effect.`;

export function addLibvirtHookCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('hook')
      .description("check a domain before its guest starts or arrives, for libvirt's hook")
      .argument('<domain>', 'arguments of /etc/libvirt/hooks/qemu, as libvirt gives them')
      .argument('<operation>', 'prepare, migrate, …')
      .argument('[phase]', 'begin, …')
      .argument('[rest...]')
      .option('--wait <seconds>', 'time to wait for a daemon that restarts', '5'),
  )
    .addHelpText('after', help)
    .action(async (_domain: string, operation: string, phase: string | undefined, _rest: string[], options: Options) => {
      if (phase !== 'begin') return;
      if (operation === 'prepare') await check(options);
      if (operation === 'migrate') await warm(options);
    });
}

async function check(options: Options): Promise<void> {
  const { exportsOf, problemsOf } = await import('../../libvirt/hook.js');
  const domain = await readDomain();
  const answer = await withPatience(options, async (control, listeners) => problemsOf(control, exportsOf(domain, listeners)));
  const problems = answer ?? (await problemsWithoutDaemon(options, (listeners) => exportsOf(domain, listeners)));
  if (problems.length > 0) throw new CopseError('ERR_NOT_SERVED', problems.join('\n'));
}

async function warm(options: Options): Promise<void> {
  const { exportsOf, imagesToWarm } = await import('../../libvirt/hook.js');
  const domain = await readDomain();
  await withPatience(options, async (control, listeners) => {
    for (const name of await imagesToWarm(control, exportsOf(domain, listeners))) {
      printNote(`warming ${name} for ${domain.name}`);
      await control.images.warm(name, { signal: new AbortController().signal, onProgress: () => {} });
    }
  });
}

async function readDomain() {
  const { parseDomain } = await import('../../libvirt/domain-xml.js');
  return parseDomain(await text(process.stdin));
}

/** @returns `undefined` if no daemon answered within `--wait` */
async function withPatience<T>(options: Options, action: (control: Control, listeners: Listeners) => Promise<T>): Promise<T | undefined> {
  const { Listeners } = await import('../../libvirt/listener.js');
  for (const until = performance.now() + Number(options.wait) * 1000; ; await sleep(200)) {
    try {
      return await withDaemon(options, async (control) => action(control, Listeners.fromUris((await control.node.status()).listeners)));
    } catch (error) {
      if (errorCode(error) !== 'ERR_NO_DAEMON') throw error;
      if (!(performance.now() < until)) return undefined;
    }
  }
}

/**
 * A domain without exports of Copse starts without the daemon. The configuration tells which
 * exports are Copse's.
 */
async function problemsWithoutDaemon(options: Options, exportsOf: (listeners: Listeners) => string[]): Promise<string[]> {
  const [{ loadConfig }, { Listeners }] = await Promise.all([import('../../config/load.js'), import('../../libvirt/listener.js')]);
  const { listen } = await loadConfig({ file: options.config, flags: options.state === undefined ? {} : { state: options.state } });
  const names = exportsOf(new Listeners(listen));
  return names.length === 0 ? [] : [`copse does not run, and would serve ${names.join(', ')}: systemctl start copse`];
}
