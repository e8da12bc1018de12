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
    knows: 'one range read, which gives right bytes or an error; kinds of origin, retries, health, formats',
    ignores: 'its callers, and the cache',
  },
  {
    room: 'manifest',
    imports: ['base', 'block', 'origin'],
    knows: "a manifest's bytes, sealing, verification of what is read",
    ignores: 'other nodes',
  },
  {
    room: 'catalog',
    imports: ['base', 'origin/identity.ts'],
    knows: 'the state directory; image records, on this host or in etcd; the id under which nodes share a content',
    ignores: 'the use of them',
  },
  { room: 'config', imports: ['base', 'origin'], knows: 'the configuration that operators write', ignores: 'the object graph' },
  {
    room: 'admin',
    imports: ['base', 'origin', 'config'],
    knows: 'the requests of operators: `Control`, its client and its server',
    ignores: 'the object graph',
  },
  {
    room: 'libvirt',
    imports: ['base', 'nbd', 'admin/control.ts'],
    knows: 'domain XML, read and written; the binding and virsh; the hook',
    ignores: 'the way to the daemon: it is given a `Control`',
  },
  {
    room: 'device',
    imports: ['base', 'block'],
    knows: '`BlockDevice`: the requests that an export answers',
    ignores: 'connections, owners, epochs',
  },
  {
    room: 'cluster',
    imports: ['base', 'block', 'nbd', 'origin', 'manifest'],
    knows: 'the live nodes (`membership`, `health`), the home of a chunk (`placement`), the node to ask for it (`source`)',
    ignores: 'caches and files: it reads from a source, and is one',
  },
  {
    room: 'cache',
    imports: ['base', 'block', 'manifest/verifier.ts'],
    knows: 'single flight, fetch queue, readahead, store, eviction',
    ignores: 'HTTP, NBD, nodes: it sees two `ChunkSource`s and the choice between them for each chunk',
  },
  {
    room: 'server',
    imports: ['base', 'block', 'nbd', 'device/device.ts'],
    knows: 'listeners, connections, transmission',
    ignores: 'the making of exports: it sees `ExportDirectory`',
  },
  {
    room: 'disk/protocol',
    imports: ['base', 'block', 'catalog', 'device'],
    knows: 'the words of nodes about disks: the record, calls, callers, the chain of grants',
    ignores: 'how nodes are reached: it names `RemoteNodes`',
  },
  {
    room: 'disk/folder',
    imports: ['base', 'disk/protocol'],
    knows: "a disk's files: makes, finds, checks, copies them, and marks them as lossy",
    ignores: 'owners',
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
    knows: 'the right to write: sessions, fences, and the gate that stops all writes',
    ignores: 'other nodes',
  },
  {
    room: 'disk/knowledge',
    imports: ['base', 'catalog', 'disk/protocol'],
    knows: 'reports of other nodes and of etcd about disks',
    ignores: 'the truth of the reports',
  },
  {
    room: 'disk/lease',
    imports: ['base', 'block', 'device', 'disk/knowledge'],
    knows: 'the time until which this node may acknowledge writes',
    ignores: 'the content of a disk',
  },
  {
    room: 'disk/hosted',
    imports: ['base', 'block', 'device', 'server', 'disk/protocol', 'disk/folder', 'disk/overlay'],
    knows: "a disk's files while they are open on this node, and the fetch of blocks into them",
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
    knows: 'the owner of a disk, and each change of it',
    ignores: 'the way to other nodes',
  },
  {
    room: 'disk/service',
    imports: ['base', 'device', 'disk/protocol', 'disk/folder', 'disk/knowledge', 'disk/hosted', 'disk/owner'],
    knows: "this node's answers to calls about disks",
    ignores: 'the commands of operators',
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
    knows: 'commands about disks: migrate, force, remove, watch, drain, promote, rename',
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
    knows: 'images: the contents behind them, jobs over them, the view that a disk has of one',
    ignores: 'the admin API; the way to other nodes',
  },
  {
    room: 'peer/wire',
    imports: ['base', 'cluster'],
    knows: 'the bytes between nodes: addresses, export names, pages of calls and statements',
    ignores: 'connections and exports',
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
    knows: "requests to another node's exports: probe, reads, blocks, maps, calls about disks",
    ignores: 'the choice of the node',
  },
  {
    room: 'peer/server',
    imports: ['base', 'block', 'catalog', 'device', 'cluster', 'server', 'disk/protocol', 'peer/wire'],
    knows: 'the exports for other nodes: one device for each kind, limits on calls',
    ignores: 'the opening of images and disks',
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
    knows: 'all rooms: it composes the object graph, and answers operators over it',
    ignores: '',
  },
  {
    room: 'cli',
    imports: [
      'base',
      'nbd',
      'origin/format/check-file.ts',
      'catalog/upgrade/kept.ts',
      'config',
      'admin',
      'libvirt',
      'image',
      'daemon/run.ts',
    ],
    knows: 'the command line: its commands, options, texts and exit codes',
    ignores: 'the object graph: it sees `Config` and `Control`',
  },
];
