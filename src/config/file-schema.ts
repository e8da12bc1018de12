/**
 * The shape of the configuration as operators write it, in TOML or by flags.
 *
 * Invariants:
 * - Every key is optional, except those that identify an entry of a list.
 * - No default is applied here (see `schema.ts`) and no path is resolved (see `load.ts`), so that
 *   flags can replace values of the file.
 * - The JSON schema takes the description of each key from here.
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
  url: nonEmpty.describe('Origin of the bytes: https://, http://, nbd://, nbd+unix://, file: or a path.'),
  format: nonEmpty.optional().describe('raw, or a format that qemu-nbd knows. Default: detected by content.'),
  chunk_size: size(parseChunkSize).optional().describe('Unit of fetching and caching: a power of two from 64K to 1M.'),
  deadline: text(parseDuration, '30s').optional().describe("Deadline of a guest's request; 0 means none."),
  backing: z
    .record(z.string(), text(checkKnownName, 'debian-12'))
    .optional()
    .describe('Permitted backing files: the name that the image writes, and the image here that stands for it.'),
  manifest: nonEmpty.optional().describe('Manifest that each chunk is verified against: a URL or a path. Only together with digest.'),
  digest: text(checkDigest, 'blake3:…').optional().describe("The manifest's own digest, as copse image seal prints it."),
  share: z
    .enum(sharePolicies)
    .optional()
    .describe('Rule by which the cluster shares the chunks: auto if the identity is strong, trust always, never.'),
});

const nodeSchema = z.strictObject({
  id: text(checkNodeId, 'host-a').optional().describe("Name of this node, unique among all nodes. Default: the host's name."),
  address: text(checkHostPort, '10.0.0.1:10810').optional().describe('HOST:PORT at which other nodes reach this one.'),
  listen: text(parseAddress, 'tcp:0.0.0.0:10810').optional().describe('Address that the server for peers binds. Default: address.'),
});

const clusterSchema = z.strictObject({
  name: text(checkClusterChoice, 'default').optional().describe('Name of the cluster. auto, with etcd, measures and chooses the nearest.'),
  auto_rtt_us: z.int().min(1).max(1_000_000).optional().describe('With auto: longest round trip to a cluster that the node joins, in µs.'),
  max_members: z.int().min(1).max(1000).optional().describe('With auto: count of nodes at which a cluster is full.'),
  members: z
    .array(text(checkHostPort, '10.0.0.2:10810'))
    .optional()
    .describe("Addresses of the cluster's nodes, without etcd. This node's own address is ignored."),
  donate: size(parseSizeOrShare)
    .optional()
    .describe("Share of the cache that this node gives to the cluster: bytes or a percentage of the file system's size; 0 gives none."),
  peers: z
    .enum(peerPolicies)
    .optional()
    .describe('Images that are shared. strong: those with a strong identity or share = "trust". verified-only: those with a manifest.'),
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
  prefix: text(checkEtcdPrefix, '/copse').optional().describe("Prefix of all of Copse's keys."),
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
    .describe('Addresses for NBD clients: unix:PATH or tcp:HOST:PORT.'),
  socket_mode: text(parseMode, '0660').optional().describe('Permission bits of the NBD unix sockets, in octal.'),
  socket_group: nonEmpty.optional().describe('Group of the NBD unix sockets; libvirt on Debian needs libvirt-qemu.'),
  allow_remote: z.boolean().optional().describe('Permits NBD clients, which are not authenticated, from other hosts.'),
  admin: addresses()
    .optional()
    .describe('Addresses of the admin API, one or a list: unix:PATH in place of STATE/admin.sock, tcp:HOST:PORT beside it.'),
  admin_socket: z.boolean().optional().describe('True if the admin API has its unix socket. false leaves only the addresses on TCP.'),
  admin_token_file: nonEmpty.optional().describe('File whose first line is the token that requests to the admin API on TCP must carry.'),
  admin_names: z
    .array(text(checkHostName, 'host-a.example'))
    .optional()
    .describe('Further names of this host that requests to the admin API on TCP may use.'),
  admin_allow_remote: z.boolean().optional().describe('Permits addresses of the admin API that other hosts can reach.'),
  log_level: z.enum(logLevels).optional().describe('Lowest level that is logged.'),
  cache: z
    .strictObject({
      size: size(parseSizeOrShare).optional().describe("Budget of the cache: bytes, or a percentage of the file system's size."),
      min_free: size(parseSizeOrShare).optional().describe('Free space that the cache leaves: bytes or a percentage.'),
    })
    .optional(),
  server: z
    .strictObject({
      fast_path: z
        .boolean()
        .optional()
        .describe('True if native threads answer requests for bytes in local files. With false, JavaScript answers all.'),
    })
    .optional(),
  image_default: z
    .strictObject({
      chunk_size: imageSchema.shape.chunk_size,
      deadline: imageSchema.shape.deadline,
      readahead: size(parseSize).optional().describe('Largest window of sequential readahead; 0 turns readahead off.'),
    })
    .optional(),
  limit: z
    .strictObject({
      connections: z.int().min(1).max(maxCount).optional().describe('Limit of NBD connections.'),
      handshake_timeout: text(positiveDuration, '10s').optional().describe('Time from accept to the end of negotiation.'),
      requests_per_connection: z.int().min(1).max(maxCount).optional().describe('Limit of requests under way on one connection.'),
      bytes_per_connection: size(atLeast(maxRequestBytes, '32M'))
        .optional()
        .describe("Limit of the payload of one connection's requests under way."),
      request_memory: size(atLeast(maxRequestBytes, '32M')).optional().describe('The same limit over all connections.'),
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
        .describe(
          'Prefixes of URLs and paths that this node may open, without credentials, for a disk whose image only another node named.',
        ),
    })
    .optional(),
  image: z.array(imageSchema).optional(),
  credential: z.array(credentialSchema).optional(),
});

/** The configuration as operators write it. */
export type FileInput = z.input<typeof fileSchema>;
/** The same after parsing, without defaults and with paths as written. */
export type FileConfig = z.output<typeof fileSchema>;

/** JSON Schema of the file, for editors (Taplo, Even Better TOML). */
export function configJsonSchema(): object {
  return z.toJSONSchema(fileSchema, { io: 'input' });
}
