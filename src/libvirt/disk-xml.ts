/**
 * The `<disk>` element of an export, which the guest reads itself or below a qcow2 overlay.
 *
 * Source: https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms
 */
import { CopseError } from '../base/error.js';
import { formatNbdUri, type NbdAddress } from '../nbd/codec/uri.js';
import type { CacheMode, DiskBus } from './target.js';
import { type ElementSpec, formatXml } from './xml.js';

export interface DiskXml {
  exportName: string;
  address: NbdAddress;
  /** True for an image. Below an overlay it has no effect. */
  readOnly: boolean;
  bus: DiskBus;
  target: string;
  /** Serial number: at most 20 characters of `A-Z a-z 0-9 _ . + -`. */
  serial: string;
  /** Cache mode of QEMU. Migration needs `none`. */
  cache: CacheMode;
  /**
   * Time that QEMU holds requests while the daemon restarts, in s; 0 omits it. libvirt 9.5 and
   * later heed it.
   */
  reconnectSeconds: number;
  /** Position in the firmware's boot order, from 1. */
  bootOrder?: number | undefined;
  /** Absolute path of a qcow2 file that takes the writes. */
  overlayPath?: string | undefined;
}

/** @throws CopseError `ERR_OPTION` if QEMU has no such device */
export function formatDisk(disk: DiskXml): string {
  const { overlayPath, readOnly, bus, target } = disk;
  if (readOnly && overlayPath === undefined && bus === 'sata') {
    throw new CopseError('ERR_OPTION', 'an image is read-only, which a sata disk can not be: choose --bus virtio or scsi, or an --overlay');
  }
  return formatXml({
    name: 'disk',
    attributes: { type: overlayPath === undefined ? 'network' : 'file', device: 'disk' },
    content: [
      driverOf(disk),
      ...(overlayPath === undefined ? [sourceOf(disk)] : [{ name: 'source', attributes: { file: overlayPath } }, backingStoreOf(disk)]),
      { name: 'target', attributes: { dev: target, bus } },
      readOnly && overlayPath === undefined ? { name: 'readonly' } : undefined,
      { name: 'serial', content: disk.serial },
      disk.bootOrder === undefined ? undefined : { name: 'boot', attributes: { order: disk.bootOrder } },
    ],
  });
}

/** The command that creates the overlay file of a disk. */
export function overlayCommand({ address, exportName, overlayPath = '' }: DiskXml): string {
  const backing = formatNbdUri({ address, exportName });
  return `qemu-img create -f qcow2 -F raw -b ${quote(backing)} ${quote(overlayPath)}`;
}

/** Quotes a word for a shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * A failed request pauses the guest, instead of breaking its file system. `virsh resume` lets it go
 * on.
 */
function driverOf({ cache, overlayPath }: DiskXml): ElementSpec {
  const type = overlayPath === undefined ? 'raw' : 'qcow2';
  return {
    name: 'driver',
    attributes: { name: 'qemu', type, cache, discard: 'unmap', error_policy: 'stop', rerror_policy: 'stop' },
  };
}

function backingStoreOf(disk: DiskXml): ElementSpec {
  return {
    name: 'backingStore',
    attributes: { type: 'network' },
    content: [{ name: 'format', attributes: { type: 'raw' } }, sourceOf(disk), { name: 'backingStore' }],
  };
}

function sourceOf({ exportName, address, reconnectSeconds }: DiskXml): ElementSpec {
  const host: ElementSpec['attributes'] =
    'path' in address ? { transport: 'unix', socket: address.path } : { name: address.host, port: address.port };
  return {
    name: 'source',
    attributes: { protocol: 'nbd', name: exportName },
    content: [
      { name: 'host', attributes: host },
      reconnectSeconds === 0 ? undefined : { name: 'reconnect', attributes: { delay: reconnectSeconds } },
    ],
  };
}
