/**
 * Tier of each test file: the command that runs it.
 *
 *     quick    npm test              no root, no KVM, nothing left behind; what a contributor runs
 *     system   npm run test:system   real daemons, faults, etcd, libvirt, other programs, mounts
 *     vm       npm run test:vm       guests that boot, run and migrate
 *     native   npm run test:native   sanitizers, fuzzing, the package with its binary
 *
 * The table names folders (with a slash at their end) and files, below `test`. The longest entry
 * that a path begins with decides, so a file is in one tier at most. A test holds the table against
 * all test files.
 */

export const tierNames = ['quick', 'system', 'vm', 'native'] as const;
export type Tier = (typeof tierNames)[number];
export type TierTable = Readonly<Record<Tier, readonly string[]>>;

export const tierTable: TierTable = {
  quick: [
    'admin/',
    'architecture/',
    'base/',
    'block/',
    'bench/',
    'boot/',
    'cache/',
    'catalog/',
    'cli/',
    'cluster/',
    'config/',
    'conformance/',
    'daemon/',
    'device/',
    'disk/',
    'document/',
    'fast/',
    'image/',
    'libvirt/',
    'manifest/',
    'nbd/',
    'origin/',
    'peer/',
    'property/',
    'reference/',
    'server/',
    'simulation/',
    'soak/',
    'tier/',
    'words/',
  ],
  system: [
    'base/etcd/',
    'base/native-chunk-file-fault.test.ts',
    'base/native-overlay-file-fault.test.ts',
    'catalog/etcd-catalog.test.ts',
    'cli/libvirt.test.ts',
    'cluster/fault/',
    'cluster/membership/auto-cluster.test.ts',
    'cluster/membership/etcd-membership.test.ts',
    'cluster/membership/etcd-quorum.test.ts',
    'conformance/nbdkit.test.ts',
    'daemon/systemd.test.ts',
    'disk/folder/crash.test.ts',
    'disk/folder/snapshot.test.ts',
    'example/',
    'fast/exhaustion.test.ts',
    'fast/slow-reader.test.ts',
    'fast/storm.test.ts',
    'fault/',
    'interop/',
    'lab/',
    'libvirt/migrate.test.ts',
    'libvirt/system.test.ts',
    'origin/file.test.ts',
    'origin/format-reach.test.ts',
    'regression/',
    'simulation/large.test.ts',
    'upgrade/',
  ],
  vm: ['example/cluster.test.ts', 'example/demo.test.ts', 'fault/disk-vm.test.ts', 'migration/'],
  native: ['native/'],
};

/** Tier of the entry that decides, or undefined where none matches. */
export function tierOf(path: string, table: TierTable = tierTable): Tier | undefined {
  let best: { tier: Tier; entry: string } | undefined;
  for (const tier of tierNames) {
    for (const entry of table[tier]) {
      const matches = entry.endsWith('/') ? path.startsWith(entry) : path === entry;
      if (matches && entry.length > (best?.entry.length ?? 0)) best = { tier, entry };
    }
  }
  return best?.tier;
}

/** Files of a tier, by name. */
export function filesOf(tier: Tier, paths: readonly string[]): string[] {
  return paths.filter((path) => tierOf(path) === tier).sort();
}

/** Faults of a table for these files, in words; an empty list when it is right. */
export function tableFaults(paths: readonly string[], table: TierTable): string[] {
  const entries = tierNames.flatMap((tier) => table[tier]);
  const isUsed = (entry: string): boolean => paths.some((path) => (entry.endsWith('/') ? path.startsWith(entry) : path === entry));
  return [
    ...paths.filter((path) => tierOf(path, table) === undefined).map((path) => `${path} is in no tier`),
    ...entries.filter((entry, index) => entries.indexOf(entry) !== index).map((entry) => `${entry} is named twice`),
    ...entries.filter((entry) => !isUsed(entry)).map((entry) => `${entry} names no test file`),
  ];
}
