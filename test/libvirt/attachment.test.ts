import t from 'tap';
import { type AttachRequest, attachDisk, type DetachRequest, detachDisk } from '../../src/libvirt/attachment.js';
import { type DomainXml, parseDomain } from '../../src/libvirt/domain-xml.js';
import type { Domain } from '../../src/libvirt/hypervisor.js';
import type { Affected } from '../../src/libvirt/virsh.js';

const socket = '/run/copse/nbd.sock';
const other = '/run/other.sock';
const isCopse = ({ address }: { address: object }) => 'path' in address && address.path === socket;

function diskOf(exportName: string, target: string, path = socket): string {
  const source = `<source protocol='nbd' name='${exportName}'><host transport='unix' socket='${path}'/></source>`;
  return `<disk type='network' device='disk'>${source}<target dev='${target}' bus='virtio'/></disk>`;
}

const xmlOf = (name: string, disks: string): DomainXml =>
  parseDomain(`<domain><name>${name}</name><uuid>uuid-${name}</uuid><devices>${disks}</devices></domain>`);

function domainOf(name: string, { current = '', config }: { current?: string; config?: string }, active = true): Domain {
  return {
    name,
    uuid: `uuid-${name}`,
    state: active ? 'running' : 'shut off',
    active,
    persistent: config !== undefined,
    current: xmlOf(name, active ? current : (config ?? '')),
    config: config === undefined ? undefined : xmlOf(name, config),
  };
}

/** Keeps what it was asked for. */
class FakeVirsh {
  readonly changes: { command: string; uuid: string; xml: string; affected: readonly Affected[] }[] = [];

  async changeDevice(command: string, uuid: string, xml: string, affected: readonly Affected[]): Promise<void> {
    this.changes.push({ command, uuid, xml, affected });
  }
}

const disk: AttachRequest['disk'] = {
  exportName: 'data',
  address: { path: socket },
  readOnly: false,
  bus: 'virtio',
  serial: 's',
  cache: 'none',
  reconnectSeconds: 60,
};

async function attach(domains: Domain[], request: Partial<AttachRequest> = {}) {
  const virsh = new FakeVirsh();
  const attachment = await attachDisk(domains, isCopse, virsh, { domain: 'web', disk, shared: false, ...request });
  return { attachment, changes: virsh.changes };
}

t.test('attach', async (t) => {
  const running = domainOf('web', { current: diskOf('root', 'vda'), config: diskOf('root', 'vda') + diskOf('spare', 'vdb', other) });

  await t.test('changes the guest that runs, and the configuration of one that does not', async (t) => {
    const { attachment, changes } = await attach([running]);
    t.same(attachment, { domain: 'web', uuid: 'uuid-web', export: 'data', target: 'vdb', affected: ['live'] });
    t.match(changes, [{ command: 'attach-device', uuid: 'uuid-web', xml: /name="data".*dev="vdb"/s, affected: ['live'] }]);
    const off = await attach([domainOf('web', { config: diskOf('root', 'vda') }, false)]);
    t.match(off.attachment, { target: 'vdb', affected: ['config'] });
  });

  await t.test('both as asked, with a target that is free in both', async (t) => {
    const { attachment, changes } = await attach([running], { live: true, config: true });
    t.match(attachment, { target: 'vdc', affected: ['live', 'config'] });
    t.equal(changes.length, 1, 'both or none');
  });

  await t.test('by name or UUID', async (t) => {
    t.match((await attach([running], { domain: 'UUID-web' })).attachment, { domain: 'web' });
    await t.rejects(attach([running], { domain: 'wob' }), { code: 'ERR_NO_SUCH_DOMAIN' });
  });

  await t.test('refuses states that the domain is not in', async (t) => {
    await t.rejects(attach([domainOf('web', { config: '' }, false)], { live: true }), { code: 'ERR_DOMAIN_STATE' });
    await t.rejects(attach([domainOf('web', {})], { config: true }), { code: 'ERR_DOMAIN_STATE' });
  });

  await t.test('refuses what is attached already, also below an overlay', async (t) => {
    await t.rejects(attach([domainOf('web', { current: diskOf('data', 'vda') })]), { code: 'ERR_DISK_ATTACHED' });
    const overlay = diskOf('data', 'vda').replace("<disk type='network' device='disk'>", "<disk type='file'><backingStore>");
    const below = overlay.replace('</source>', '</source></backingStore>');
    await t.rejects(attach([domainOf('web', { current: below })]), { code: 'ERR_DISK_ATTACHED' });
    t.ok(await attach([domainOf('web', { current: diskOf('data', 'vda', other) })]), 'the same name at another server');
  });

  await t.test('refuses a target that is taken', async (t) => {
    await t.rejects(attach([running], { target: 'vda' }), { code: 'ERR_TARGET_TAKEN' });
    t.match((await attach([running], { target: 'vdx' })).attachment, { target: 'vdx' });
  });

  await t.test('refuses a second guest that runs, unless the disk is for many', async (t) => {
    const user = domainOf('user', { current: diskOf('data', 'vda') });
    const dormant = domainOf('dormant', { config: diskOf('data', 'vda') }, false);
    await t.rejects(attach([user, running]), { code: 'ERR_DISK_IN_USE' });
    t.ok(await attach([user, running], { shared: true }));
    await t.rejects(
      attach([user, running], { config: true }),
      { code: 'ERR_DISK_IN_USE' },
      'its next start would displace the other guest',
    );
    t.ok(await attach([user, running], { config: true, shared: true }));
    const off = domainOf('web', { config: '' }, false);
    await t.rejects(attach([user, off]), { code: 'ERR_DISK_IN_USE' });
    t.ok(await attach([dormant, running]));
  });
});

t.test('detach', async (t) => {
  const running = domainOf('web', { current: diskOf('root', 'vda') + diskOf('data', 'vdb'), config: diskOf('data', 'vdc') });
  const without = domainOf('web', { current: diskOf('root', 'vda'), config: '' });

  async function detach(before: Domain, after: Domain[], request: Partial<DetachRequest> = {}) {
    const virsh = new FakeVirsh();
    const asked: DetachRequest = { domain: 'web', exportName: 'data', ...request };
    const detached = await detachDisk([before], isCopse, virsh, asked, async () => after);
    return { detached, changes: virsh.changes };
  }

  await t.test('takes the element as libvirt has it, of the guest and of the configuration', async (t) => {
    const { detached, changes } = await detach(running, [without], { live: true, config: true });
    t.match(detached, { export: 'data', target: 'vdb', affected: ['live', 'config'] });
    t.match(changes, [
      { command: 'detach-device', xml: /dev="vdb"/, affected: ['live'] },
      { command: 'detach-device', xml: /dev="vdc"/, affected: ['config'] },
    ]);
  });

  await t.test('says when the guest holds on to it', async (t) => {
    await t.rejects(detach(running, [running]), { code: 'ERR_GUEST_HOLDS' });
    t.ok(await detach(running, []), 'the domain ended meanwhile');
    t.ok(await detach(running, [running], { config: true }), 'a configuration has no guest');
  });

  await t.test('refuses what is not attached, and asks which of two', async (t) => {
    await t.rejects(detach(running, [], { exportName: 'none' }), { code: 'ERR_DISK_NOT_ATTACHED' });
    await t.rejects(detach(running, [], { target: 'vda' }), { code: 'ERR_DISK_NOT_ATTACHED' });
    const twice = domainOf('web', { current: diskOf('data', 'vda') + diskOf('data', 'vdb') });
    await t.rejects(detach(twice, []), { code: 'ERR_TARGET_AMBIGUOUS' });
    t.match((await detach(twice, [], { target: 'vdb' })).changes, [{ xml: /dev="vdb"/ }]);
  });
});
