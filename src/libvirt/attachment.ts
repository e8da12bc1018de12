/** Disks of domains: which ones are Copse's, putting one more in, taking one out. */
import { CopseError } from '../base/error.js';
import { type DiskXml, formatDisk } from './disk-xml.js';
import type { DomainDisk, DomainXml, NbdSource } from './domain-xml.js';
import { type Domain, findDomain } from './hypervisor.js';
import { nextTarget } from './target.js';
import type { Affected, Virsh } from './virsh.js';
import { serialize } from './xml.js';

/** What of a domain a change is for. Neither: as virsh does it, the process of one that runs, else its configuration. */
export interface AffectOptions {
  live?: boolean | undefined;
  config?: boolean | undefined;
}

/** Whether an NBD source is the daemon's. */
export type IsCopse = (source: NbdSource) => boolean;

export interface Attachment {
  domain: string;
  uuid: string;
  export: string;
  target: string;
  affected: Affected[];
}

export interface AttachRequest extends AffectOptions {
  /** Name or UUID. */
  domain: string;
  disk: Omit<DiskXml, 'target'>;
  /** The first free one where absent. */
  target?: string | undefined;
  /** It may be attached to several domains at once. */
  shared: boolean;
}

/**
 * @param domains all that libvirt has
 * @throws CopseError `ERR_NO_SUCH_DOMAIN`, `ERR_DOMAIN_STATE`, `ERR_DISK_ATTACHED` (to this domain), `ERR_DISK_IN_USE` (by another that runs), `ERR_TARGET_TAKEN`, `ERR_OPTION`, `ERR_LIBVIRT`
 */
export async function attachDisk(
  domains: readonly Domain[],
  isCopse: IsCopse,
  virsh: Pick<Virsh, 'changeDevice'>,
  request: AttachRequest,
): Promise<Attachment> {
  const domain = findDomain(domains, request.domain);
  const affected = chooseAffected(domain, request);
  const described = descriptionsOf(domain, affected);
  const { exportName, bus } = request.disk;
  for (const { disks } of described) {
    const [attached] = attachedTo(disks, exportName, isCopse);
    if (attached !== undefined) throw attachedError(exportName, domain.name, attached.target);
  }
  // Also of a configuration: the next start would displace the guest that runs.
  if (!request.shared) refuseSecondGuest(domains, domain, exportName, isCopse);
  const taken = described.flatMap(({ disks }) => disks.map(({ target }) => target));
  if (request.target !== undefined && taken.includes(request.target)) {
    throw new CopseError(
      'ERR_TARGET_TAKEN',
      `domain ${domain.name} has a disk ${request.target}: leave --target out to take the first free one`,
    );
  }
  const target = request.target ?? nextTarget(bus, taken);
  await virsh.changeDevice('attach-device', domain.uuid, formatDisk({ ...request.disk, target }), affected);
  return { domain: domain.name, uuid: domain.uuid, export: exportName, target, affected };
}

/** Its first write would displace the other guest, which gets I/O errors from then on. */
function refuseSecondGuest(domains: readonly Domain[], domain: Domain, exportName: string, isCopse: IsCopse): void {
  const other = domains.find(
    ({ uuid, active, current }) => active && uuid !== domain.uuid && attachedTo(current.disks, exportName, isCopse).length > 0,
  );
  if (other === undefined) return;
  throw new CopseError(
    'ERR_DISK_IN_USE',
    `disk ${exportName} is in use by domain ${other.name}, which runs: a disk is for one guest at a time, unless it was created with --multi-conn`,
  );
}

export interface DetachRequest extends AffectOptions {
  domain: string;
  exportName: string;
  /** Which one, where the export is attached more than once. */
  target?: string | undefined;
}

/**
 * Of a domain that runs, the guest has to let go of the disk, and virsh waits 5 seconds for it.
 *
 * @param domains all that libvirt has
 * @param reread the same once more
 * @throws CopseError `ERR_NO_SUCH_DOMAIN`, `ERR_DOMAIN_STATE`, `ERR_DISK_NOT_ATTACHED`, `ERR_TARGET_AMBIGUOUS`, `ERR_GUEST_HOLDS`, `ERR_LIBVIRT`
 */
export async function detachDisk(
  domains: readonly Domain[],
  isCopse: IsCopse,
  virsh: Pick<Virsh, 'changeDevice'>,
  request: DetachRequest,
  reread: () => Promise<readonly Domain[]>,
): Promise<Attachment> {
  const domain = findDomain(domains, request.domain);
  const affected = chooseAffected(domain, request);
  const chosen = affected.map((where) => ({ where, disk: chooseDisk(domain, where, isCopse, request) }));
  for (const { where, disk } of chosen) await virsh.changeDevice('detach-device', domain.uuid, serialize(disk.element), [where]);
  const target = chosen[0]?.disk.target ?? '';
  if (affected.includes('live')) {
    const after = (await reread()).find(({ uuid }) => uuid === domain.uuid);
    if (after?.active && after.current.disks.some((disk) => disk.target === target)) {
      throw new CopseError(
        'ERR_GUEST_HOLDS',
        `the guest in ${domain.name} was asked to let go of ${target} and has not done so yet: it may still, as "virsh domblklist ${domain.name}" will show`,
      );
    }
  }
  return { domain: domain.name, uuid: domain.uuid, export: request.exportName, target, affected };
}

function chooseDisk(domain: Domain, where: Affected, isCopse: IsCopse, { exportName, target }: DetachRequest): DomainDisk {
  const [described] = descriptionsOf(domain, [where]);
  const attached = attachedTo(described?.disks ?? [], exportName, isCopse);
  const matching = target === undefined ? attached : attached.filter((disk) => disk.target === target);
  const [disk, another] = matching;
  const place = where === 'live' ? 'domain' : 'configuration of domain';
  if (disk === undefined) {
    const as = target === undefined ? '' : ` as ${target}`;
    throw new CopseError('ERR_DISK_NOT_ATTACHED', `${exportName} is not attached to the ${place} ${domain.name}${as}`);
  }
  if (another !== undefined) {
    const targets = matching.map((one) => one.target).join(', ');
    throw new CopseError(
      'ERR_TARGET_AMBIGUOUS',
      `${exportName} is attached to the ${place} ${domain.name} as ${targets}: say which by --target`,
    );
  }
  return disk;
}

/** @throws CopseError `ERR_DOMAIN_STATE` */
function chooseAffected({ name, active, persistent }: Domain, { live = false, config = false }: AffectOptions): Affected[] {
  if (live && !active) throw new CopseError('ERR_DOMAIN_STATE', `domain ${name} does not run: leave --live out`);
  if (config && !persistent) {
    throw new CopseError('ERR_DOMAIN_STATE', `domain ${name} is transient, there is no configuration of it to change: leave --config out`);
  }
  if (!live && !config) return [active ? 'live' : 'config'];
  return [...(live ? (['live'] as const) : []), ...(config ? (['config'] as const) : [])];
}

function descriptionsOf({ current, config = current }: Domain, affected: readonly Affected[]): DomainXml[] {
  return affected.map((where) => (where === 'live' ? current : config));
}

/** The disks that are this export, or overlays over it. */
function attachedTo(disks: readonly DomainDisk[], exportName: string, isCopse: IsCopse): DomainDisk[] {
  return disks.filter(({ sources }) => sources.some((source) => source.exportName === exportName && isCopse(source)));
}

function attachedError(exportName: string, domain: string, target: string): CopseError {
  return new CopseError('ERR_DISK_ATTACHED', `${exportName} is attached to domain ${domain} already, as ${target}`);
}
