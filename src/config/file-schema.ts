/**
 * The shape of the configuration as operators write it, in TOML or by flags.
 *
 * Invariants: every key is optional but those that identify an entry of a list; no default is applied here (see `schema.ts`)
 * and no path is resolved (see `load.ts`), so that flags and file can be laid over each other. Each key's description is
 * what the JSON schema and the documentation say of it.
 */
import { z } from 'zod';
import { checkDigest } from '../base/digest-text.js';
import { checkKnownName } from '../base/export-name.js';
import { logLevels } from '../base/log.js';
import { checkNodeId } from '../base/node-name.js';
import { parseSize } from '../base/size.js';
import { checkHostName, checkHostPort, parseAddress } from './address.js';
import { addresses, atLeast, nonEmpty, positiveDuration, secret, size, text } from './field.js';
import { checkOriginPrefix } from './origin-prefix.js';
import { maxRequestBytes, peerPolicies, sharePolicies } from './schema.js';
import { checkClusterChoice, checkEtcdPrefix, checkEtcdUrl, parseChunkSize, parseDuration, parseMode, parseSizeOrShare } from './value.js';

const maxCount = 1_000_000;

export const imageSchema = z.strictObject({
  name: text(checkKnownName, 'debian-12').describe('Name of the export.'),
  url: nonEmpty.describe('Where the bytes come from: https://, http://, nbd://, nbd+unix://, file: or a path.'),
  format: nonEmpty.optional().describe('raw, or a format that qemu-nbd knows; detected by content when absent.'),
  chunk_size: size(parseChunkSize).optional().describe('Unit of fetching and caching: a power of two from 64K to 1M.'),
  deadline: text(parseDuration, '30s').optional().describe("Deadline of a guest's request; 0 waits for ever."),
  backing: z
    .record(z.string(), text(checkKnownName, 'debian-12'))
    .optional()
    .describe('Backing files that may be used: the name as written in the image, and the image here that stands for it.'),
  manifest: nonEmpty.optional().describe('Manifest that every chunk is verified against: a URL or a path. Only together with digest.'),
  digest: text(checkDigest, 'blake3:…').optional().describe("The manifest's own digest, as copse image seal prints it."),
  share: z
    .enum(sharePolicies)
    .optional()
    .describe('Whether the cluster shares its chunks: auto where its identity is strong, trust in any case, never.'),
});

const nodeSchema = z.strictObject({
  id: text(checkNodeId, 'host-a').optional().describe("Name of this node, unique among all nodes; the host's name when absent."),
  address: text(checkHostPort, '10.0.0.1:10810').optional().describe('HOST:PORT where the other nodes reach this one.'),
  listen: text(parseAddress, 'tcp:0.0.0.0:10810').optional().describe('Where the server for peers binds; the address when absent.'),
});

const clusterSchema = z.strictObject({
  name: text(checkClusterChoice, 'default').optional().describe('Name of the cluster; auto chooses the nearest by measurement, with etcd.'),
  auto_rtt_us: z.int().min(1).max(1_000_000).optional().describe('With auto: the longest round trip in microseconds to a cluster to join.'),
  max_members: z.int().min(1).max(1000).optional().describe('With auto: a cluster of so many nodes is full.'),
  members: z
    .array(text(checkHostPort, '10.0.0.2:10810'))
    .optional()
    .describe("Addresses of the cluster's nodes, where there is no etcd. This node's own is ignored."),
  donate: size(parseSizeOrShare)
    .optional()
    .describe("What this node gives to the cluster's cache: bytes or a percentage of the file system's size; 0 gives nothing."),
  peers: z
    .enum(peerPolicies)
    .optional()
    .describe('Which images are shared: strong, those of a strong identity or told to; verified-only, those with a manifest.'),
});

const etcdSchema = z.strictObject({
  url: z
    .array(text(checkEtcdUrl, 'http://127.0.0.1:2379'))
    .min(1, 'must name at least one endpoint')
    .optional()
    .describe('Endpoints: http://HOST:PORT or https://HOST:PORT.'),
  user: nonEmpty.optional().describe('User of etcd.'),
  password: secret(z.string()).optional().describe('Password of etcd.'),
  password_file: nonEmpty.optional().describe('File whose first line is the password.'),
  ca_file: nonEmpty.optional().describe("PEM file of certificate authorities to trust instead of the system's."),
  prefix: text(checkEtcdPrefix, '/copse').optional().describe("Under which all of Copse's keys lie."),
});

export const credentialSchema = z.strictObject({
  url_prefix: nonEmpty.describe('Applies to origins whose URL begins with this; the longest match wins.'),
  user: nonEmpty.optional().describe('User of HTTP basic authentication.'),
  password: secret(z.string()).optional().describe('Password of HTTP basic authentication.'),
  password_file: nonEmpty.optional().describe('File whose first line is the password.'),
  bearer: secret(nonEmpty).optional().describe('Bearer token.'),
  bearer_file: nonEmpty.optional().describe('File whose first line is the bearer token.'),
  ca_file: nonEmpty.optional().describe("PEM file of certificate authorities to trust instead of the system's."),
});

export const fileSchema = z.strictObject({
  state: nonEmpty.optional().describe('State directory: catalog, cache, lock.'),
  listen: z
    .array(text(parseAddress, 'unix:/run/copse/nbd.sock'))
    .min(1, 'must name at least one address')
    .optional()
    .describe('Where NBD clients attach: unix:PATH or tcp:HOST:PORT.'),
  socket_mode: text(parseMode, '0660').optional().describe('Permission bits of the NBD unix sockets, in octal.'),
  socket_group: nonEmpty.optional().describe('Group of the NBD unix sockets; libvirt on Debian needs libvirt-qemu.'),
  allow_remote: z.boolean().optional().describe('Lets NBD clients, who are not authenticated, attach from other hosts.'),
  admin: addresses()
    .optional()
    .describe('Where the admin API listens: unix:PATH in place of STATE/admin.sock, tcp:HOST:PORT beside it; one or a list.'),
  admin_socket: z.boolean().optional().describe('Whether the admin API has its unix socket; false leaves the addresses on TCP alone.'),
  admin_token_file: nonEmpty.optional().describe('File whose first line is the token that requests to the admin API on TCP must carry.'),
  admin_names: z
    .array(text(checkHostName, 'host-a.example'))
    .optional()
    .describe('Further names of this host by which the admin API on TCP may be asked.'),
  admin_allow_remote: z.boolean().optional().describe('Lets the admin API listen where other hosts can reach it.'),
  log_level: z.enum(logLevels).optional().describe('The least level that is logged.'),
  cache: z
    .strictObject({
      size: size(parseSizeOrShare).optional().describe("Budget of the cache: bytes, or a percentage of the file system's size."),
      min_free: size(parseSizeOrShare).optional().describe('Free space that the cache never goes below: bytes or a percentage.'),
    })
    .optional(),
  server: z
    .strictObject({
      fast_path: z
        .boolean()
        .optional()
        .describe('Whether native threads answer what lies in local files; false leaves everything to JavaScript.'),
    })
    .optional(),
  image_default: z
    .strictObject({
      chunk_size: imageSchema.shape.chunk_size,
      deadline: imageSchema.shape.deadline,
      readahead: size(parseSize).optional().describe('Largest window of sequential readahead; 0 turns it off.'),
    })
    .optional(),
  limit: z
    .strictObject({
      connections: z.int().min(1).max(maxCount).optional().describe('NBD connections at once.'),
      handshake_timeout: text(positiveDuration, '10s').optional().describe('From accept to the end of negotiation.'),
      requests_per_connection: z.int().min(1).max(maxCount).optional().describe('Requests of one connection under way at once.'),
      bytes_per_connection: size(atLeast(maxRequestBytes, '32M'))
        .optional()
        .describe("Payload of one connection's requests under way at once."),
      request_memory: size(atLeast(maxRequestBytes, '32M')).optional().describe('The same over all connections.'),
    })
    .optional(),
  node: nodeSchema.optional(),
  cluster: clusterSchema.optional(),
  etcd: etcdSchema.optional(),
  disk: z
    .strictObject({
      allow_origins: z
        .array(text(checkOriginPrefix, 'https://images.example/'))
        .optional()
        .describe('Beginnings of URLs, and paths, that may be opened for a disk whose image only another node named; without credentials.'),
    })
    .optional(),
  image: z.array(imageSchema).optional(),
  credential: z.array(credentialSchema).optional(),
});

/** What operators write. */
export type FileInput = z.input<typeof fileSchema>;
/** The same, read but neither completed nor resolved. */
export type FileConfig = z.output<typeof fileSchema>;

/** JSON Schema of the file, for editors (Taplo, Even Better TOML). */
export function configJsonSchema(): object {
  return z.toJSONSchema(fileSchema, { io: 'input' });
}
