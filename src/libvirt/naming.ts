/** Which domains name an export, so that it is not taken from under them: those that run, and those whose next start would need it. */
import type { IsCopse } from './attachment.js';
import type { Domain } from './hypervisor.js';

export interface Naming {
  domain: string;
  /** `vda` */
  target: string;
  /** Its guest runs. */
  active: boolean;
}

/** @param domains all that libvirt has. @returns each domain once, sorted as they are */
export function domainsNaming(domains: readonly Domain[], exportName: string, isCopse: IsCopse): Naming[] {
  return domains.flatMap(({ name, active, current, config }) => {
    const disks = [...current.disks, ...(config?.disks ?? [])];
    const disk = disks.find(({ sources }) => sources.some((source) => source.exportName === exportName && isCopse(source)));
    return disk === undefined ? [] : [{ domain: name, target: disk.target, active }];
  });
}
