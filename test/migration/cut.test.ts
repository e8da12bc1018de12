/** The network between two hosts is cut at each step of a disk's way from one to the other, under a guest that writes, and healed. There are never two owners, and the guest's records hold. */
import t from 'tap';
import { Lab } from '../lab/lab.js';
import { inOrder } from './in-order.js';
import { drop, noPacketDrop, step } from './packet-drop.js';
import { writerCount } from './record.js';
import { diskName, Scene } from './scene.js';

t.test('the network is cut while a disk moves', { skip: (await Lab.unavailable()) ?? false }, async (t) => {
  const scene = await Scene.start({ bitsPerSecond: 1e9, dirtyMiB: 24, deadlineMs: 8000 });
  t.teardown(() => scene.close());
  const { a, b, lab } = scene;
  const impossible = await noPacketDrop(a.place);
  if (impossible !== undefined) {
    t.pass('nothing was tried', { skip: impossible });
    return;
  }
  const cut = async (): Promise<void> => void (await Promise.all([lab.cut(a.place, b.place), lab.cut(b.place, a.place)]));
  const heal = async (): Promise<void> => void (await Promise.all([lab.restore(a.place, b.place), lab.restore(b.place, a.place)]));
  const next = inOrder(t);
  let vm = await scene.startVm({ host: a, name: 'first' });
  await vm.console.ready();
  vm.console.tell('write');
  await vm.console.writes(300);

  await next('before the handover: the source keeps the disk, and the guest waits', async (t) => {
    vm = await scene.send(vm, b, { isPaused: true, beforeEnd: cut });
    await vm.resume();
    await vm.becomes('io-error');
    t.same(await scene.owners(), [a.nodeId]);
    t.match(await a.ownerLog(), { state: 'owner', epoch: 1 });
    await heal();
    t.comment(`resumed ${await scene.goesOn(vm, 50)} times`);
    await scene.settled(b, a);
    t.same(scene.complaints, []);
  });

  await next('when the request has arrived and its answer is lost: nobody writes until it comes', async (t) => {
    // Until they have seen each other again a disk of the other host can't be opened.
    await scene.whole();
    const end = await drop(b.place, a.place, step.grant);
    vm = await scene.send(vm, a);
    await b.logs('granted');
    t.same(await scene.owners(), []);
    await vm.becomes('io-error');
    t.ok(vm.console.written.length <= writerCount, 'each writer reports at most the record that it made durable on the source');
    await end();
    t.comment(`resumed ${await scene.goesOn(vm, 50)} times`);
    await scene.settled(a, b);
    t.same(scene.complaints, []);
  });

  await next('when the confirmation is lost: the new owner goes on, the old one learns of it by asking', async (t) => {
    // Until they have seen each other again a disk of the other host can't be opened.
    await scene.whole();
    const end = await drop(b.place, a.place, step.accepted);
    vm = await scene.send(vm, b);
    await vm.console.writes(50);
    t.equal(await vm.status(), 'running');
    await scene.settled(b, a);
    t.match(
      (await b.log()).filter(({ msg }) => msg === 'the former owner did not hear that the disk was accepted'),
      [{ from: a.nodeId }],
    );
    await end();
    t.same(scene.complaints, []);
  });

  await next('when the disk was handed over and its blocks have not come: errors for these, until they do', async (t) => {
    // Until they have seen each other again a disk of the other host can't be opened.
    await scene.whole();
    const end = await drop(a.place, b.place, step.blocks);
    vm = await scene.send(vm, a);
    await a.logs('owner');
    await cut();
    await vm.becomes('io-error');
    t.match(await a.disk(diskName), { place: 'owner', toCome: [{ node: b.nodeId }] });
    t.same(await scene.owners(), [a.nodeId]);
    await Promise.all([heal(), end()]);
    t.comment(`resumed ${await scene.goesOn(vm, 50)} times`);
    await scene.settled(a, b);
    t.same(scene.complaints, []);
  });

  await next('every record that was durable is there', async (t) => {
    await vm.console.check();
    t.equal(vm.console.badCount, 0);
    t.same(scene.complaints, []);
    await vm.close();
    t.same(await scene.wrongOnDisk(a), []);
    t.comment(`${scene.reportedCount} records were reported`);
  });
});
