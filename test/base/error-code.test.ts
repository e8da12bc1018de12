/** The table of error codes: complete, used, printed, and with the statuses that programs rely on. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { httpStatusOf } from '../../src/admin/http-status.js';
import { errorCodes as codes } from '../../src/base/error-code.js';
import { exitCodeOf } from '../../src/cli/exit-code.js';
import { readSource } from '../architecture/imports.js';
import { printedErrors } from '../reference/error-page.js';

/** From dist/test/base. */
const root = fileURLToPath(new URL('../../../', import.meta.url));

/** Status by code as released in 0.1.0; 500 for all others. */
const releasedStatus = {
  400: 'ERR_SIZE ERR_NAME ERR_URL ERR_OPTION ERR_DIGEST',
  404: 'ERR_NO_SUCH_IMAGE ERR_NO_SUCH_DISK ERR_NO_SUCH_SNAPSHOT',
  409: 'ERR_IMAGE_EXISTS ERR_IMAGE_IN_USE ERR_IMAGE_CONFLICT ERR_NOT_SHARED ERR_NOT_CLUSTERED ERR_DISK_EXISTS ERR_DISK_IN_USE ERR_DISK_INCOMPLETE ERR_DISK_LOSS ERR_DATA_LOST ERR_HANDOVER_EXPLICIT ERR_NOT_OWNER ERR_OWNER_UNREACHABLE ERR_NOT_YET ERR_EPOCH ERR_DISK_OPEN ERR_FILES_GONE ERR_SNAPSHOT_EXISTS',
  502: 'ERR_ORIGIN_CHANGED ERR_ORIGIN_REFUSED ERR_ORIGIN_PROTOCOL ERR_ORIGIN_UNAVAILABLE ERR_FORMAT ERR_MANIFEST ERR_DIGEST_MISMATCH ERR_ETCD_REFUSED ERR_BLOCKS_AWAY ERR_PEER_GONE ERR_PEER_LIED ERR_NOT_MEMBER ERR_CALLER ERR_REPLICA ERR_DEADLINE',
  503: 'ERR_BUSY ERR_ETCD_UNAVAILABLE',
  507: 'ENOSPC',
};
/** Exit code by code as released in 0.1.0; 1 for all others. */
const releasedExitCode = {
  2: 'ERR_CONFIG ERR_ADDRESS_REMOTE ERR_ADMIN_TOKEN ERR_ADDRESS ERR_DURATION ERR_SIZE ERR_NAME ERR_URL ERR_OPTION ERR_DIGEST ERR_REQUEST ERR_TARGET_AMBIGUOUS',
  3: 'ERR_NO_DAEMON',
  4: 'ERR_NO_SUCH_IMAGE ERR_NO_SUCH_DISK ERR_NO_SUCH_SNAPSHOT ERR_NO_SUCH_DOMAIN ERR_NO_SUCH_EXPORT ERR_DISK_NOT_ATTACHED',
  5: 'ERR_IMAGE_EXISTS ERR_IMAGE_IN_USE ERR_IMAGE_CONFLICT ERR_NOT_CLUSTERED ERR_NOT_SHARED ERR_DISK_EXISTS ERR_DISK_IN_USE ERR_DISK_INCOMPLETE ERR_DISK_LOSS ERR_DATA_LOST ERR_HANDOVER_EXPLICIT ERR_NOT_OWNER ERR_OWNER_UNREACHABLE ERR_NOT_YET ERR_EPOCH ERR_DISK_OPEN ERR_FILES_GONE ERR_BUSY ERR_SNAPSHOT_EXISTS ERR_FILE_EXISTS ERR_DISK_ATTACHED ERR_EXPORT_NAMED ERR_DOMAIN_STATE ERR_TARGET_TAKEN ERR_NO_LISTENER',
  7: 'ERR_OUTPUT ENOSPC',
};
/** Statuses that the admin API sets where it refuses a request, before it looks at the table. */
const refused: Readonly<Record<string, number>> = {
  ERR_UNAUTHORIZED: 401,
  ERR_FORBIDDEN: 403,
  ERR_NO_SUCH_ROUTE: 404,
  ERR_REQUEST: 400,
};
/** Codes of the command line and of the start of the daemon: the admin API never answers with them. */
const local = new Set([
  ...['ERR_ADDRESS', 'ERR_ADDRESS_REMOTE', 'ERR_ADMIN_TOKEN', 'ERR_CONFIG', 'ERR_DURATION', 'ERR_TARGET_AMBIGUOUS'],
  ...['ERR_FILE_EXISTS', 'ERR_NO_LISTENER', 'ERR_NO_SUCH_EXPORT', 'ERR_NO_SUCH_DOMAIN', 'ERR_DISK_ATTACHED'],
  ...['ERR_DISK_NOT_ATTACHED', 'ERR_DOMAIN_STATE', 'ERR_EXPORT_NAMED', 'ERR_TARGET_TAKEN'],
]);

t.test('each code is in the table once, and the table has no other', async (t) => {
  t.equal(new Set(codes).size, codes.length, 'no code is in two parts');
  const files = [...readSource(`${root}src`)].filter(([path]) => !path.startsWith('base/error-code'));
  const written = new Set(files.flatMap(([, text]) => text.match(/(?<=')ERR_[A-Z0-9_]+(?=')/g) ?? []));
  t.same([...written].filter((code) => !codes.includes(code)).sort(), [], 'each code in the source is in the table');
  // Comparisons raise nothing.
  const raised = files.map(([, text]) => text.replaceAll(/[!=]== 'ERR_[A-Z_]+'|\[[^[\]]*\]\.includes\(/g, '')).join('\n');
  t.same(
    codes.filter((code) => !raised.includes(`'${code}'`)),
    [],
    'each code in the table is raised somewhere',
  );
});

t.test('statuses and exit codes are those of before', async (t) => {
  const [status, exitCode] = [byCode(releasedStatus), byCode(releasedExitCode)];
  for (const code of [...codes, 'ENOSPC', 'EIO', 'EACCES', 'no code at all']) {
    if (!local.has(code)) t.equal(httpStatusOf(code), refused[code] ?? status.get(code) ?? 500, `status of ${code}`);
    if (code !== 'ERR_NO_SUCH_ROUTE') t.equal(exitCodeOf(code), exitCode.get(code) ?? 1, `exit code of ${code}`);
  }
});

t.test('the page has the table as it is', async (t) => {
  t.equal(printedErrors(), readFileSync(`${root}docs/reference/errors.md`, 'utf8'), 'node dist/test/reference/print.js prints it');
});

function byCode(groups: Readonly<Record<number, string>>): Map<string, number> {
  return new Map(
    Object.entries(groups).flatMap(([value, names]) => names.split(' ').map((code): [string, number] => [code, Number(value)])),
  );
}
