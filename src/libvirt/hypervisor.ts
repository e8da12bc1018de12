/** A connection to libvirt, which lists domains with their states and XML. */
import { CopseError, errorMessage } from '../base/error.js';
import type { Closeable } from '../base/lifecycle.js';
import { type BoundDomain, type BoundHypervisor, bindHypervisor, type DomainState, domainStates, listFlag, xmlFlag } from './binding.js';
import { type DomainXml, parseDomain } from './domain-xml.js';
import { LibvirtError } from './error.js';

export interface Domain {
  name: string;
  uuid: string;
  state: DomainState;
  /** True if the domain has a process. */
  active: boolean;
  /** True if the domain is defined, so that it outlives its process. */
  persistent: boolean;
  /** Present XML. That of a running domain has the whole chain of overlays. */
  current: DomainXml;
  /** XML that the next start uses; absent for a transient domain. */
  config?: DomainXml | undefined;
}

export class Hypervisor implements Closeable {
  readonly #bound: BoundHypervisor;

  private constructor(bound: BoundHypervisor) {
    this.#bound = bound;
  }

  /**
   * @param uri as `virsh --connect` takes it; absent: the defaults of virsh
   * @throws NoBindingError
   * @throws LibvirtError if no libvirt answers there
   */
  static async open(uri: string | undefined, load?: () => Promise<unknown>): Promise<Hypervisor> {
    // Without a URI libvirt goes by LIBVIRT_DEFAULT_URI, by its configuration, or by the drivers
    // that it finds, as for virsh.
    const chosen = uri ?? process.env['VIRSH_DEFAULT_CONNECT_URI'] ?? '';
    const bound = await bindHypervisor(chosen, load);
    await orFail(`libvirt can't be reached${chosen === '' ? '' : ` at ${chosen}`}`, bound.connectOpen());
    return new Hypervisor(bound);
  }

  /** All domains, sorted by name. */
  async domains(): Promise<Domain[]> {
    const { active, inactive, persistent } = listFlag;
    const all = await orFail('libvirt lists no domains', this.#bound.connectListAllDomains(active | inactive));
    const kept = await orFail('libvirt lists no domains', this.#bound.connectListAllDomains(persistent));
    const keptIds = new Set(await Promise.all(kept.map((domain) => domain.getUUIDString())));
    const described = await Promise.all(all.map((domain) => describe(domain, keptIds)));
    return described.filter((domain) => domain !== undefined).sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  async close(): Promise<void> {
    await orFail('closing the connection to libvirt', this.#bound.connectClose());
  }
}

/** @param text name or UUID of the domain. @throws CopseError `ERR_NO_SUCH_DOMAIN` */
export function findDomain(domains: readonly Domain[], text: string): Domain {
  const found = domains.find(({ name }) => name === text) ?? domains.find(({ uuid }) => uuid === text.toLowerCase());
  if (found === undefined) throw new CopseError('ERR_NO_SUCH_DOMAIN', `libvirt has no domain ${text}: "virsh list --all" lists all`);
  return found;
}

/** `undefined` if the domain is gone meanwhile. */
async function describe(domain: BoundDomain, persistentIds: ReadonlySet<string>): Promise<Domain | undefined> {
  try {
    const uuid = await domain.getUUIDString();
    const persistent = persistentIds.has(uuid);
    const state = domainStates[(await domain.getInfo()).state] ?? 'no state';
    const current = parseDomain(await domain.getXMLDesc(xmlFlag.live));
    const config = persistent ? parseDomain(await domain.getXMLDesc(xmlFlag.inactive)) : undefined;
    return { name: current.name, uuid, state, active: state !== 'shut off' && state !== 'no state', persistent, current, config };
  } catch (error) {
    if (/domain not found|no domain with/i.test(errorMessage(error))) return undefined;
    throw error instanceof CopseError
      ? error
      : new LibvirtError(`libvirt does not describe a domain: ${errorMessage(error)}`, { cause: error });
  }
}

async function orFail<T>(what: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw new LibvirtError(`${what}: ${errorMessage(error)}`);
  }
}
