import t from 'tap';
import { busOfTarget, chooseBus, nextTarget } from '../../src/libvirt/target.js';

const alphabet = [...'abcdefghijklmnopqrstuvwxyz'];

t.test('the next target is the first that is free', async (t) => {
  t.equal(nextTarget('virtio', []), 'vda');
  t.equal(nextTarget('virtio', ['vda', 'sda', 'vdc']), 'vdb');
  t.equal(nextTarget('scsi', ['vda', 'sda']), 'sdb');
  t.equal(nextTarget('sata', ['sda', 'sdb']), 'sdc');
});

t.test('after z comes aa, after az ba, after zz aaa', async (t) => {
  const one = alphabet.map((letter) => `vd${letter}`);
  t.equal(nextTarget('virtio', one), 'vdaa');
  t.equal(nextTarget('virtio', [...one, ...alphabet.map((letter) => `vda${letter}`)]), 'vdba');
  const two = alphabet.flatMap((first) => alphabet.map((second) => `vd${first}${second}`));
  t.equal(nextTarget('virtio', [...one, ...two]), 'vdaaa');
});

t.test('bus and target go together, or are refused', async (t) => {
  t.equal(chooseBus(undefined, undefined), 'virtio');
  t.equal(chooseBus('sata', undefined), 'sata');
  t.equal(chooseBus(undefined, 'vdb'), 'virtio');
  t.equal(chooseBus(undefined, 'sdb'), 'scsi');
  t.equal(chooseBus('sata', 'sdb'), 'sata');
  for (const [bus, target] of [
    ['ide', undefined],
    ['virtio', 'sda'],
    ['scsi', 'vda'],
    [undefined, 'hda'],
    [undefined, 'vd'],
    [undefined, 'vda1'],
  ] as const) {
    t.throws(() => chooseBus(bus, target), { code: 'ERR_OPTION' }, `${bus} ${target}`);
  }
  t.throws(() => busOfTarget('x'), { code: 'ERR_OPTION' });
});
