/**
 * Warns of names that several exports have, and of names that begin with a dash. An earlier version
 * permitted them, and two nodes without etcd can make one name at one time.
 *
 * All of these exports are served as before. An operator renames one.
 */
import type { StatusWarning } from '../../admin/schema-node.js';
import { isDashed } from '../../base/export-name.js';
import { type DiskRecord, olderFirst } from '../../disk/protocol/record.js';

/** Limit of warnings. Further ones are only counted. */
const maxWarnings = 100;

/** @param disks all disks that this node has or knows of, each with its owner */
export function nameWarnings(images: readonly string[], disks: readonly { record: DiskRecord; owner: string }[]): StatusWarning[] {
  const named = new Map<string, { record: DiskRecord; owner: string }[]>();
  for (const disk of disks) named.set(disk.record.name, [...(named.get(disk.record.name) ?? []), disk]);
  const warnings: StatusWarning[] = [];
  for (const name of images) {
    if (isDashed(name)) warnings.push(dashWarning('image', name));
    if (named.has(name)) {
      const message = `a disk and an image are named "${name}", and clients get the disk: "copse image rename ${argument(name)} NEW"`;
      warnings.push({ code: 'ERR_NAME_CONFLICT', message });
    }
  }
  for (const [name, found] of named) {
    if (isDashed(name)) warnings.push(dashWarning('disk', name));
    const [first, ...others] = found.sort((left, right) => olderFirst(left.record, right.record));
    for (const other of others) warnings.push({ code: 'ERR_NAME_CONFLICT', message: conflictMessage(name, first?.owner, other) });
  }
  if (warnings.length <= maxWarnings) return warnings;
  const more = `and ${warnings.length - maxWarnings} further names are in conflict, or begin with a dash`;
  return [...warnings.slice(0, maxWarnings), { code: 'ERR_NAME_CONFLICT', message: more }];
}

function conflictMessage(name: string, keeper: string | undefined, { record, owner }: { record: DiskRecord; owner: string }): string {
  return `two disks are named "${name}": node ${keeper} has the older one, which keeps the name, and node ${owner} has ${record.uuid}, which no other node serves: "copse disk rename ${argument(name)} NEW" on node ${owner}`;
}

function dashWarning(kind: 'image' | 'disk', name: string): StatusWarning {
  return {
    code: 'ERR_NAME',
    message: `${kind} "${name}" begins with a dash, which commands take for an option: "copse ${kind} rename ${argument(name)} NEW"`,
  };
}

/** A name as a command takes it. */
function argument(name: string): string {
  return isDashed(name) ? `-- ${name}` : name;
}
