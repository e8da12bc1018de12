import t from 'tap';
import { diskSerial, imageSerial, maxSerialLength } from '../../src/libvirt/serial.js';

t.test("a disk's serial number is the beginning of its uuid", async (t) => {
  t.equal(diskSerial('6f1c2f0a-2c0e-4f0b-9d1a-0b5f4a3c2d10'), '6f1c2f0a2c0e4f0b9d1a');
});

t.test("an image's serial number is its name, or stands for it", async (t) => {
  t.equal(imageSerial('debian-12.raw'), 'debian-12.raw');
  const [slash, long] = [imageSerial('debian/12'), imageSerial('a-name-that-is-longer')];
  for (const serial of [slash, long]) {
    t.match(serial, /^[0-9a-f]+$/);
    t.equal(serial.length, maxSerialLength);
  }
  t.not(slash, imageSerial('debian/13'));
  t.equal(slash, imageSerial('debian/12'));
});
