/**
 * The only importer of `@unraid/libvirt`, an optional dependency.
 *
 * The types that Copse uses of it are written here, so that Copse compiles without it. Its errors
 * have no codes. It keeps a connection until that is closed.
 */
import { NoBindingError } from './error.js';

/** Names of libvirt's virDomainState, by number. */
export const domainStates = ['no state', 'running', 'blocked', 'paused', 'in shutdown', 'shut off', 'crashed', 'pmsuspended'] as const;
export type DomainState = (typeof domainStates)[number];

/** virConnectListAllDomainsFlags */
export const listFlag = { active: 1, inactive: 2, persistent: 4 } as const;

/** virDomainXMLFlags */
export const xmlFlag = { live: 0, inactive: 2 } as const;

export interface BoundDomain {
  getName(): Promise<string>;
  getUUIDString(): Promise<string>;
  /** Rejects if the domain does not run. */
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

/** Not a literal type, so that the compiler does not look for the package. */
const packageName: string = '@unraid/libvirt';

/**
 * Loads the package and makes a connection, which is not open yet.
 *
 * @param uri `''` leaves the choice to libvirt
 * @throws NoBindingError if the package, its addon or libvirt's library is missing
 */
export async function bindHypervisor(uri: string, load: () => Promise<unknown> = () => import(packageName)): Promise<BoundHypervisor> {
  try {
    const { Hypervisor } = (await load()) as Binding;
    return new Hypervisor({ uri });
  } catch (error) {
    throw new NoBindingError(error);
  }
}
