/** Finds the domains that name an export: running ones, and those whose next start needs it. */
import type { IsCopse } from './attachment.js';
import type { Domain } from './hypervisor.js';

export interface Naming {
  domain: string;
  /** `vda` */
  target: string;
  /** True if the guest runs. */
  active: boolean;
}

/** @param domains all domains of libvirt. @returns each domain once, in the same order */
export function domainsNaming(domains: readonly Domain[], exportName: string, isCopse: IsCopse): Naming[] {
  return domains.flatMap(({ name, active, current, config }) => {
    const disks = [...current.disks, ...(config?.disks ?? [])];
    const disk = disks.find(({ sources }) => sources.some((source) => source.exportName === exportName && isCopse(source)));
    return disk === undefined ? [] : [{ domain: name, target: disk.target, active }];
  });
}
