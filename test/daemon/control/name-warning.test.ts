/** Names in conflict, as the status tells of them: which one keeps the name, what renames the other, and never a page without end. */
import t from 'tap';
import { nameWarnings } from '../../../src/daemon/control/name-warning.js';
import type { DiskRecord } from '../../../src/disk/protocol/record.js';

function disk(name: string, owner: string, createdAt: string, uuid = createdAt): { record: DiskRecord; owner: string } {
  const record: DiskRecord = { format: 1, name, uuid, sizeBytes: 4096, createdAt, multiConn: false, handover: 'auto' };
  return { record, owner };
}

t.test('the older disk keeps the name, of one moment the one with the lesser uuid', async (t) => {
  t.same(nameWarnings(['base'], [disk('vm1', 'n1', '2026-01-02')]), []);
  const later = disk('vm1', 'n1', '2026-01-02');
  for (const [other, keeper, renamed] of [
    [disk('vm1', 'n2', '2026-01-01'), 'n2', 'n1'],
    [disk('vm1', 'n2', '2026-01-03'), 'n1', 'n2'],
    [disk('vm1', 'n2', '2026-01-02', '2026-01-01'), 'n2', 'n1'],
  ] as const) {
    for (const disks of [
      [later, other],
      [other, later],
    ]) {
      const [warning, ...rest] = nameWarnings([], disks);
      t.same(rest, []);
      t.equal(warning?.code, 'ERR_NAME_CONFLICT');
      t.match(warning?.message, new RegExp(`node ${keeper} has the older one.*"copse disk rename vm1 NEW" on node ${renamed}$`));
    }
  }
});

t.test('a thousand names in conflict are a hundred lines and a count', async (t) => {
  const names = Array.from({ length: 1000 }, (_, index) => `vm${index}`);
  const disks = names.map((name) => disk(name, 'n1', '2026-01-02', name));
  const warnings = nameWarnings(names, disks);
  t.equal(warnings.length, 101);
  t.match(warnings.at(-1)?.message, /900 further/);
});
