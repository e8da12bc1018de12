/**
 * The only importer of `@unraid/libvirt`, an optional dependency: what of it Copse uses, and what to do where it isn't there.
 *
 * Its types are written here, so that Copse compiles without it. Its errors have no codes, and it frees a connection when it is closed, not before.
 */
import { NoBindingError } from './error.js';

/** virDomainState of libvirt. */
export const domainStates = ['no state', 'running', 'blocked', 'paused', 'in shutdown', 'shut off', 'crashed', 'pmsuspended'] as const;
export type DomainState = (typeof domainStates)[number];

/** virConnectListAllDomainsFlags */
export const listFlag = { active: 1, inactive: 2, persistent: 4 } as const;

/** virDomainXMLFlags */
export const xmlFlag = { live: 0, inactive: 2 } as const;

export interface BoundDomain {
  getName(): Promise<string>;
  getUUIDString(): Promise<string>;
  /** Rejects where the domain does not run. */
  getID(): Promise<number | null>;
  getInfo(): Promise<{ state: number }>;
  getXMLDesc(flags: number): Promise<string>;
}

export interface BoundHypervisor {
  connectOpen(): Promise<void>;
  connectClose(): Promise<void>;
  connectListAllDomains(flags: number): Promise<BoundDomain[]>;
}

interface Binding {
  Hypervisor: new (options: { uri: string }) => BoundHypervisor;
}

/** Not a literal, so that the compiler doesn't look for it. */
const packageName: string = '@unraid/libvirt';

/**
 * A connection that is not open yet.
 *
 * @param uri `''` leaves the choice to libvirt
 * @throws NoBindingError where the package is missing, or its addon (which it loads now) or libvirt's library
 */
export async function bindHypervisor(uri: string, load: () => Promise<unknown> = () => import(packageName)): Promise<BoundHypervisor> {
  try {
    const { Hypervisor } = (await load()) as Binding;
    return new Hypervisor({ uri });
  } catch (error) {
    throw new NoBindingError(error);
  }
}
