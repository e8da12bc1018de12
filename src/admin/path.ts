/** Paths of the admin API that name an export. */

export function imagePath(name: string): string {
  return `/v1/images/${encodeURIComponent(name)}`;
}

export function diskPath(name: string): string {
  return `/v1/disks/${encodeURIComponent(name)}`;
}

export function snapshotPath(name: string, snapshot: string): string {
  return `${diskPath(name)}/snapshots/${encodeURIComponent(snapshot)}`;
}
