/** Codes of wrong input: requests, options, configuration, and the admin API that takes them. */
import type { ErrorEntry } from './kind.js';

export const usageErrors = {
  ERR_ADDRESS: ['usage', 'A text is not an address.', 'Write unix:PATH or tcp:HOST:PORT; for a node, HOST:PORT.'],
  ERR_ADDRESS_REMOTE: ['usage', 'Other hosts could reach the address.', 'Use a unix socket or loopback, or allow it in the configuration.'],
  ERR_ADMIN_TOKEN: ['usage', 'The admin API would be open to every user of the host.', 'Give --admin-token-file, or use the unix socket.'],
  ERR_CONFIG: ['usage', 'The configuration is wrong.', 'Correct the place that the message names.'],
  ERR_DIGEST: ['usage', 'A text is not a digest.', 'Write blake3: and 64 hexadecimal digits.'],
  ERR_DURATION: ['usage', 'A text is not a duration.', 'Write a number with ms, s, m or h.'],
  ERR_MODE: ['internal', 'A text is not a file mode.', 'Write an octal number, as chmod takes it.'],
  ERR_NAME: ['usage', 'A name is not allowed.', 'Choose a name of the characters that the message lists.'],
  ERR_OPTION: ['usage', 'An option is wrong, or contradicts another.', 'Correct the option that the message names.'],
  ERR_REQUEST: ['usage', 'A request does not follow the schema of the admin API.', 'Correct the field that the message names.'],
  ERR_SIZE: ['usage', 'A size is wrong, or too small.', 'Write a size that the message allows.'],
  ERR_URL: ['usage', 'A URL is wrong, or of an unknown kind.', 'Write a URL of a kind that the message lists.'],
  ERR_TARGET_AMBIGUOUS: ['usage', 'A domain has the disk more than once.', 'Choose one by --target.'],
  ERR_UNAUTHORIZED: ['unauthorized', 'The token is missing or wrong.', 'Send the token of the daemon.'],
  ERR_FORBIDDEN: [
    'forbidden',
    'The request comes from a web page, or names another host.',
    'Call the API by its own address, not from a browser.',
  ],
  ERR_NO_SUCH_ROUTE: ['notFound', 'The admin API has no such method and path.', 'Compare the versions of client and daemon.'],
  ERR_NO_DAEMON: ['noDaemon', 'No daemon answers at the address.', 'Start it by "copse serve", or give --admin or --state.'],
  ERR_DAEMON_LOST: ['internal', 'The daemon ended before it answered. The operation may have been done.', 'Read its log and ask again.'],
  ERR_ADMIN_PROTOCOL: ['internal', 'The program at the address is not a copse daemon.', 'Give the address of the daemon.'],
  ERR_FILE_EXISTS: ['conflict', 'The file to be written exists.', 'Choose another path, or add --force.'],
  ERR_OUTPUT: ['output', 'A result can not be written.', 'Make room, or choose another path.'],
  ERR_PROGRAM_MISSING: ['internal', 'A program is not installed.', 'Install the package that the message names.'],
  ERR_QEMU_IMG: ['internal', 'qemu-img failed.', 'Read the reason in the message.'],
} as const satisfies Record<string, ErrorEntry>;
