/** Daemons are killed (-9) at each step of a disk's way from host to host, under a guest that writes. Nobody reads a wrong byte, there are never two owners, and all goes on when they are back. */
import { execa } from 'execa';
import t from 'tap';
import { Lab } from '../lab/lab.js';
import { inOrder } from './in-order.js';
import { drop, noPacketDrop, step } from './packet-drop.js';
import { diskName, Scene } from './scene.js';

t.test('daemons die while a disk moves', { skip: (await Lab.unavailable()) ?? false }, async (t) => {
  const scene = await Scene.start({ bitsPerSecond: 1e9, dirtyMiB: 24, deadlineMs: 8000 });
  t.teardown(() => scene.close());
  const { a, b } = scene;
  const impossible = await noPacketDrop(a.place);
  if (impossible !== undefined) {
    t.pass('nothing was tried', { skip: impossible });
    return;
  }
  const next = inOrder(t);
  let vm = await scene.startVm({ host: a, name: 'first' });
  await vm.console.ready();
  vm.console.tell('write');
  await vm.console.writes(300);

  await next('the source, before any block has followed: errors for what only it has, until it is back', async (t) => {
    const heal = await drop(b.place, a.place, step.blocks);
    vm = await scene.send(vm, b);
    await b.logs('owner');
    await a.kill();
    await heal();
    const read = execa('qemu-io', ['-f', 'raw', '-r', '-c', 'read 40M 64k', b.uri(diskName)], { reject: false });
    await vm.becomes('io-error');
    t.match(await b.disk(diskName), { place: 'owner', toCome: [{ node: a.nodeId }] });
    const { stdout, stderr } = await read;
    t.match(`${stdout}${stderr}`, /Input\/output error/, 'no zeros, and not what the image has');
    await a.start();
    t.comment(`resumed ${await scene.goesOn(vm, 50)} times`);
    await scene.settled(b, a);
    t.same(scene.complaints, []);
  });

  await next('the destination, once it owns the disk: the guest waits for it to come back, and sees nothing', async (t) => {
    // Until they have seen each other again a disk of the other host can't be opened.
    await scene.whole();
    const heal = await drop(a.place, b.place, step.blocks);
    vm = await scene.send(vm, a);
    await a.logs('owner');
    t.match(await a.disk(diskName), { place: 'owner', toCome: [{ node: b.nodeId }] });
    await a.kill();
    await heal();
    t.same(await scene.owners(), [a.nodeId]);
    await a.start();
    await vm.console.writes(50);
    t.equal(await vm.status(), 'running');
    await scene.settled(a, b);
    t.same(scene.complaints, []);
  });

  await next('the source, which has granted and was not heard: nobody owns, then it does again, then it grants anew', async (t) => {
    // Until they have seen each other again a disk of the other host can't be opened.
    await scene.whole();
    const heal = await drop(a.place, b.place, step.grant);
    vm = await scene.send(vm, b);
    await a.logs('granted');
    await a.kill();
    t.same(await scene.owners(), []);
    await heal();
    await a.start();
    t.comment(`resumed ${await scene.goesOn(vm, 50)} times`);
    await scene.settled(b, a);
    t.same(scene.complaints, []);
  });

  await next('the destination, which has accepted and was not heard: it alone owns', async (t) => {
    // Until they have seen each other again a disk of the other host can't be opened.
    await scene.whole();
    const heal = await drop(a.place, b.place, step.accepted);
    vm = await scene.send(vm, a);
    await a.logs('owner');
    await a.kill();
    t.match(await b.ownerLog(), { state: 'granted', to: { id: a.nodeId, accepted: false } });
    t.same(await scene.owners(), [a.nodeId]);
    await heal();
    await a.start();
    await vm.console.writes(50);
    t.equal(await vm.status(), 'running');
    await scene.settled(a, b);
    t.same(scene.complaints, []);
  });

  await next('both at once, before any block has followed', async (t) => {
    // Until they have seen each other again a disk of the other host can't be opened.
    await scene.whole();
    const heal = await drop(b.place, a.place, step.blocks);
    vm = await scene.send(vm, b);
    await b.logs('owner');
    await Promise.all([a.kill(), b.kill()]);
    await heal();
    await Promise.all([a.start(), b.start()]);
    t.comment(`resumed ${await scene.goesOn(vm, 50)} times`);
    await scene.settled(b, a);
    t.same(scene.complaints, []);
  });

  await next('every record that was durable is there', async (t) => {
    // Until they have seen each other again a disk of the other host can't be opened.
    await scene.whole();
    await vm.console.check();
    t.equal(vm.console.badCount, 0);
    t.same(scene.complaints, []);
    await vm.close();
    t.same(await scene.wrongOnDisk(b), []);
    t.comment(`${scene.reportedCount} records were reported`);
  });
});
