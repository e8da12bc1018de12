/** Errors between Copse and libvirt. */
import { CopseError } from '../base/error.js';

/** Packages that the commands for libvirt need on Debian. */
const packages = 'apt-get install libvirt-clients libvirt-dev pkg-config g++ make, then npm install @unraid/libvirt';

/** The binding, an optional dependency, is missing. Code `ERR_NO_LIBVIRT_BINDING`. */
export class NoBindingError extends CopseError {
  constructor(cause: unknown) {
    super(
      'ERR_NO_LIBVIRT_BINDING',
      `this command needs the npm package @unraid/libvirt, which is not installed or not built: ${packages} in the directory of copse`,
      { cause },
    );
  }
}

/** The program virsh is missing. Code `ERR_NO_VIRSH`. */
export class NoVirshError extends CopseError {
  constructor(cause: unknown) {
    super('ERR_NO_VIRSH', 'this command needs virsh, which is not installed: apt-get install libvirt-clients', { cause });
  }
}

/** libvirt or virsh refused. Code `ERR_LIBVIRT`. */
export class LibvirtError extends CopseError {
  constructor(what: string, options?: { cause?: unknown }) {
    super('ERR_LIBVIRT', what, options);
  }
}
