/**
 * The rooms of `src`, and which room may import which.
 *
 * Invariant: a room imports only rooms above it in this list. `architecture.test.ts` holds the list against every import
 * of every file, types included. `print.ts` prints it into docs/architecture/overview.md.
 */

export interface Room {
  /** Folder below `src`. A file belongs to the longest folder that is listed. */
  room: string;
  /** Rooms that its files may import; an entry with `.ts` is a single file. */
  imports: readonly string[];
  /** What the room is responsible for. */
  knows: string;
  /** What it must stay ignorant of. */
  ignores: string;
}

export const rooms: readonly Room[] = [
  {
    room: 'base',
    imports: [],
    knows: 'clock, deadline, error, log, metric, size, lifecycle, the client of etcd, the loader of the addon',
    ignores: 'every other room',
  },
  { room: 'block', imports: [], knows: 'the words of a range read: place, extent, sink, options', ignores: 'every other room' },
  { room: 'nbd', imports: ['base'], knows: 'codecs, both handshakes, the client', ignores: 'disks, exports, caches' },
  {
    room: 'origin',
    imports: ['base', 'block', 'nbd'],
    knows: 'one range read: right bytes or an error; kinds, retries, health, formats',
    ignores: 'the requesters, and that there is a cache',
  },
  {
    room: 'manifest',
    imports: ['base', 'block', 'origin'],
    knows: "a manifest's bytes, sealing, verification of what is read",
    ignores: 'other holders of a manifest',
  },
  {
    room: 'catalog',
    imports: ['base', 'origin/identity.ts'],
    knows: 'state directory, image records, on this host or in etcd; under which id a content is shared',
    ignores: 'the use of images',
  },
  { room: 'config', imports: ['base', 'origin'], knows: "the operator's file and flags", ignores: 'the object graph' },
  {
    room: 'admin',
    imports: ['base', 'origin', 'config'],
    knows: 'what operators ask: `Control`, its client and its server',
    ignores: 'the object graph',
  },
  {
    room: 'libvirt',
    imports: ['base', 'nbd', 'admin/control.ts'],
    knows: 'domain XML, both ways; the binding and virsh; what the hook asks',
    ignores: 'how the daemon is reached: it is given a `Control`',
  },
  {
    room: 'device',
    imports: ['base', 'block'],
    knows: '`BlockDevice`: what an export can be asked',
    ignores: 'connections, owners, epochs',
  },
  {
    room: 'cluster',
    imports: ['base', 'block', 'nbd', 'origin', 'manifest'],
    knows: 'who is there (`membership`, `health`), whose chunk it is (`placement`), whom to ask and whom not (`source`)',
    ignores: 'caches and files: it sees a source to read from, and is one',
  },
  {
    room: 'cache',
    imports: ['base', 'block', 'manifest/verifier.ts'],
    knows: 'single flight, fetch queue, readahead, store, eviction',
    ignores: 'HTTP, NBD, nodes: it sees two `ChunkSource`s, and which chunk goes to which',
  },
  {
    room: 'server',
    imports: ['base', 'block', 'nbd', 'device/device.ts'],
    knows: 'listeners, connections, transmission',
    ignores: 'where exports come from: it sees `ExportDirectory`',
  },
  {
    room: 'disk/protocol',
    imports: ['base', 'block', 'catalog', 'device'],
    knows: 'what nodes say to each other about disks: the record, calls, callers, the chain of grants',
    ignores: 'how nodes are reached: it names `RemoteNodes`',
  },
  {
    room: 'disk/folder',
    imports: ['base', 'disk/protocol'],
    knows: "a disk's files: made, found again, checked, copied, marked as lossy",
    ignores: 'the owner of a disk',
  },
  {
    room: 'disk/overlay',
    imports: ['base', 'block', 'device'],
    knows: 'a disk as a device: an overlay over a base, and over blocks on other nodes',
    ignores: 'clients, owners, epochs',
  },
  {
    room: 'disk/session',
    imports: ['base', 'block', 'device', 'server', 'disk/protocol'],
    knows: 'who may write: sessions, fences, the gate that closes for all',
    ignores: 'other nodes',
  },
  {
    room: 'disk/knowledge',
    imports: ['base', 'catalog', 'disk/protocol'],
    knows: 'what other nodes and etcd said of disks',
    ignores: 'whether it is true',
  },
  {
    room: 'disk/lease',
    imports: ['base', 'block', 'device', 'disk/knowledge'],
    knows: 'until when this node may acknowledge writes',
    ignores: 'what a disk is',
  },
  {
    room: 'disk/hosted',
    imports: ['base', 'block', 'device', 'server', 'disk/protocol', 'disk/folder', 'disk/overlay'],
    knows: "a disk's files open on this node, and the blocks that are brought into them",
    ignores: 'clients',
  },
  {
    room: 'disk/owner',
    imports: [
      'base',
      'block',
      'device',
      'server',
      'disk/protocol',
      'disk/folder',
      'disk/session',
      'disk/knowledge',
      'disk/lease',
      'disk/hosted',
    ],
    knows: 'who owns a disk, and how that changes',
    ignores: 'how nodes are reached',
  },
  {
    room: 'disk/service',
    imports: ['base', 'device', 'disk/protocol', 'disk/folder', 'disk/knowledge', 'disk/hosted', 'disk/owner'],
    knows: 'what this node answers when others ask about disks',
    ignores: 'what operators want',
  },
  {
    room: 'disk/operate',
    imports: [
      'base',
      'manifest',
      'admin',
      'device',
      'cluster',
      'disk/protocol',
      'disk/folder',
      'disk/session',
      'disk/knowledge',
      'disk/owner',
    ],
    knows: 'what operators do with disks: migrate, force, remove, watch, drain, promote, rename',
    ignores: 'the admin API',
  },
  {
    room: 'image',
    imports: [
      'base',
      'block',
      'origin',
      'manifest',
      'catalog',
      'config',
      'admin',
      'device',
      'cluster',
      'cache',
      'server',
      'disk/protocol',
      'disk/hosted',
      'disk/owner',
    ],
    knows: 'images: the contents behind them, jobs over them, what a disk sees of one',
    ignores: 'the admin API; how other nodes are reached',
  },
  {
    room: 'peer/wire',
    imports: ['base', 'cluster'],
    knows: 'what nodes write to each other: addresses, export names, pages of calls and statements',
    ignores: 'connections, and what is served',
  },
  {
    room: 'peer/client',
    imports: [
      'base',
      'block',
      'nbd',
      'origin',
      'manifest',
      'catalog',
      'device',
      'cluster',
      'disk/protocol',
      'disk/overlay/block-map.ts',
      'peer/wire',
    ],
    knows: "how another node's exports are asked: probe, reads, blocks, maps, calls about disks",
    ignores: 'who is asked, and why',
  },
  {
    room: 'peer/server',
    imports: ['base', 'block', 'catalog', 'device', 'cluster', 'server', 'disk/protocol', 'peer/wire'],
    knows: 'what other nodes may ask here: one device for each kind of export, limits on calls',
    ignores: 'how exports are opened',
  },
  {
    room: 'daemon',
    imports: [
      'base',
      'manifest',
      'catalog',
      'config',
      'admin',
      'cluster',
      'cache',
      'server',
      'disk/protocol',
      'disk/folder',
      'disk/session',
      'disk/knowledge',
      'disk/lease',
      'disk/owner',
      'disk/service',
      'disk/operate',
      'image',
      'peer/client',
      'peer/server',
    ],
    knows: 'all of them: it composes the object graph, and answers operators over it',
    ignores: '',
  },
  {
    room: 'cli',
    imports: ['base', 'nbd', 'origin/format/check-file.ts', 'config', 'admin', 'libvirt', 'image', 'daemon/run.ts'],
    knows: 'the command line: its commands, options, texts and exit codes',
    ignores: 'the object graph: it sees `Config` and `Control`',
  },
];
