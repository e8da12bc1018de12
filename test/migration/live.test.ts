/** A VM that writes is moved between two hosts, back, and at rest; its disk follows, and nothing that it was told is durable is lost. */
import t from 'tap';
import { Lab } from '../lab/lab.js';
import { until } from '../support/wait.js';
import { inOrder } from './in-order.js';
import { diskName, Scene } from './scene.js';
import type { Vm } from './vm.js';

const ramPort = 4444;
const dirtyMiB = 24;
/** At least; the guest's records come to that. */
const overlayBytes = dirtyMiB * 2 ** 20;

t.test('a VM moves, and its disk with it', { skip: (await Lab.unavailable()) ?? false }, async (t) => {
  const scene = await Scene.start({ bitsPerSecond: 1e9, dirtyMiB });
  t.teardown(() => scene.close());
  const { a, b } = scene;
  const overTcp = ({ place }: typeof a): string => `tcp:${place.address}:${ramPort}`;
  const sendWriting = async (to: Vm): Promise<void> => {
    await vm.sendTo(to, overTcp(to.host), { meanwhile: () => vm.console.writes(20) });
    await to.resume();
  };
  const next = inOrder(t);
  let vm = await scene.startVm({ host: a, name: 'first' });
  await vm.console.ready();
  vm.console.tell('write');
  await vm.console.writes(100);

  await next('while it writes: the disk goes where it writes, and the blocks follow', async (t) => {
    const to = await scene.startVm({ host: b, name: 'second', incoming: overTcp(b) });
    await until('it is attached before it is there', async () => {
      return (await a.disk(diskName)).remoteConnections.join() === b.nodeId;
    });
    await sendWriting(to);
    t.equal(await vm.status(), 'postmigrate');
    await to.console.writes(100);
    t.match(await b.disk(diskName), { place: 'owner', epoch: 2 });
    const [taken] = (await b.log()).filter(({ msg }) => msg === 'taken over');
    t.match(taken, { reason: 'write', epoch: 2, from: a.nodeId });
    t.comment(`the handover took ${taken?.['ms']} ms`);
    await b.hasAllOf(diskName);
    await a.hasNoFolder();
    await vm.close();
    vm = to;
  });

  await next('the host that it came from may be switched off', async (t) => {
    await a.kill();
    await vm.console.writes(100);
    t.equal(await vm.status(), 'running');
    t.same(scene.complaints, []);
    await a.start();
    await Promise.all([a.sees(2), b.sees(2)]);
  });

  await next('back, copied ahead: what is left to bring is little', async (t) => {
    const sentBytes = async (): Promise<number> => (await b.place.traffic()).sentBytes;
    const before = await sentBytes();
    const result = await b.admin.disks.migrate(diskName, a.nodeId, { signal: new AbortController().signal, onProgress: () => {} });
    t.notOk(result.handedOver, 'a client is attached');
    const ahead = (await sentBytes()) - before;
    t.ok(ahead > overlayBytes, `${ahead} bytes were sent ahead`);
    t.match(await b.disk(diskName), { place: 'owner', replica: { node: a.nodeId } });
    await vm.console.writes(20);
    const to = await scene.startVm({ host: a, name: 'third', incoming: overTcp(a) });
    await sendWriting(to);
    const beforeRest = await sentBytes();
    await to.console.writes(20);
    t.match(await a.disk(diskName), { place: 'owner', epoch: 3 });
    await a.hasAllOf(diskName);
    const after = (await sentBytes()) - beforeRest;
    t.ok(after < overlayBytes / 4, `${after} bytes came after the VM`);
    t.comment(`${ahead} bytes were sent ahead, ${after} came after the VM`);
    await b.hasNoFolder();
    await vm.close();
    vm = to;
  });

  await next('at rest: the disk follows when the source lets go of it', async (t) => {
    vm.console.tell('idle');
    await vm.console.rests(2);
    const to = await scene.startVm({ host: b, name: 'fourth', incoming: overTcp(b) });
    await vm.sendTo(to, overTcp(b));
    await to.resume();
    await to.console.rests(5);
    t.match(await a.disk(diskName), { place: 'owner', epoch: 3, remoteConnections: [b.nodeId] }, 'nobody has written');
    await vm.close();
    await b.hasAllOf(diskName);
    t.match(await b.disk(diskName), { epoch: 4 });
    t.match(
      (await b.log()).filter(({ msg }) => msg === 'taken over'),
      [{ reason: 'write' }, { reason: 'idle' }],
    );
    await a.hasNoFolder();
    await a.kill();
    await to.console.rests(2);
    vm = to;
  });

  await next('every record that was durable is there, for the guest and for others', async (t) => {
    const count = await vm.console.check();
    t.ok(count >= Math.min(scene.reportedCount, 1536), `${count} records were read`);
    t.equal(vm.console.badCount, 0);
    t.same(scene.complaints, []);
    t.equal(await vm.status(), 'running');
    await vm.close();
    t.same(await scene.wrongOnDisk(b), []);
    t.comment(`${scene.reportedCount} records were reported`);
  });
});
