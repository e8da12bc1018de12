/** Attaches exports to domains of libvirt as disks, and detaches them. */
import { CopseError } from '../base/error.js';
import { type DiskXml, formatDisk } from './disk-xml.js';
import type { DomainDisk, DomainXml, NbdSource } from './domain-xml.js';
import { type Domain, findDomain } from './hypervisor.js';
import { nextTarget } from './target.js';
import type { Affected, Virsh } from './virsh.js';
import { serialize } from './xml.js';

/**
 * Parts of a domain that a change applies to. With neither, as virsh does it: the running guest,
 * else the configuration.
 */
export interface AffectOptions {
  live?: boolean | undefined;
  config?: boolean | undefined;
}

/** True if an NBD source is an export of the daemon. */
export type IsCopse = (source: NbdSource) => boolean;

export interface Attachment {
  domain: string;
  uuid: string;
  export: string;
  target: string;
  affected: Affected[];
}

export interface AttachRequest extends AffectOptions {
  /** Name or UUID of the domain. */
  domain: string;
  disk: Omit<DiskXml, 'target'>;
  /** Name of the disk in the domain; absent: the first free one. */
  target?: string | undefined;
  /** True if several domains may have the export at once. */
  shared: boolean;
}

/**
 * Attaches an export to a domain.
 *
 * @param domains all domains of libvirt
 * @throws CopseError `ERR_NO_SUCH_DOMAIN`, `ERR_DOMAIN_STATE`, `ERR_DISK_ATTACHED` (to this
 *   domain), `ERR_DISK_IN_USE` (by another that runs), `ERR_TARGET_TAKEN`, `ERR_OPTION`,
 *   `ERR_LIBVIRT`
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
  // A changed configuration counts, too: with its next start the guest would displace the running
  // one.
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

/**
 * Refuses a second guest: its first write would displace the first guest, which then gets I/O
 * errors.
 */
function refuseSecondGuest(domains: readonly Domain[], domain: Domain, exportName: string, isCopse: IsCopse): void {
  const other = domains.find(
    ({ uuid, active, current }) => active && uuid !== domain.uuid && attachedTo(current.disks, exportName, isCopse).length > 0,
  );
  if (other === undefined) return;
  throw new CopseError(
    'ERR_DISK_IN_USE',
    `the running domain ${other.name} uses disk ${exportName}: a disk serves one guest at a time, unless it was created with --multi-conn`,
  );
}

export interface DetachRequest extends AffectOptions {
  domain: string;
  exportName: string;
  /** Name of the disk in the domain, if the export is attached more than once. */
  target?: string | undefined;
}

/**
 * Detaches an export from a domain. A running guest has to release the disk, for which virsh waits
 * 5 s.
 *
 * @param domains all domains of libvirt
 * @param reread reads them once more
 * @throws CopseError `ERR_NO_SUCH_DOMAIN`, `ERR_DOMAIN_STATE`, `ERR_DISK_NOT_ATTACHED`,
 *   `ERR_TARGET_AMBIGUOUS`, `ERR_GUEST_HOLDS`, `ERR_LIBVIRT`
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
        `the guest in ${domain.name} has not yet released ${target}: it may still do so, as "virsh domblklist ${domain.name}" then shows`,
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
      `${exportName} is attached to the ${place} ${domain.name} as ${targets}: choose one by --target`,
    );
  }
  return disk;
}

/** @throws CopseError `ERR_DOMAIN_STATE` */
function chooseAffected({ name, active, persistent }: Domain, { live = false, config = false }: AffectOptions): Affected[] {
  if (live && !active) throw new CopseError('ERR_DOMAIN_STATE', `domain ${name} does not run: leave --live out`);
  if (config && !persistent) {
    throw new CopseError('ERR_DOMAIN_STATE', `domain ${name} is transient and has no configuration to change: leave --config out`);
  }
  if (!live && !config) return [active ? 'live' : 'config'];
  return [...(live ? (['live'] as const) : []), ...(config ? (['config'] as const) : [])];
}

function descriptionsOf({ current, config = current }: Domain, affected: readonly Affected[]): DomainXml[] {
  return affected.map((where) => (where === 'live' ? current : config));
}

/** Disks of a domain that are the export, or an overlay over it. */
function attachedTo(disks: readonly DomainDisk[], exportName: string, isCopse: IsCopse): DomainDisk[] {
  return disks.filter(({ sources }) => sources.some((source) => source.exportName === exportName && isCopse(source)));
}

function attachedError(exportName: string, domain: string, target: string): CopseError {
  return new CopseError('ERR_DISK_ATTACHED', `domain ${domain} has ${exportName} already, as ${target}`);
}
