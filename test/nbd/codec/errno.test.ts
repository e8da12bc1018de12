import t from 'tap';
import { CopseError, DeadlineError } from '../../../src/base/error.js';
import { foreignErrorCode } from '../../../src/base/error-code.js';
import { nbdErrorName, toNbdError } from '../../../src/nbd/codec/errno.js';

t.test('codes become the numbers that NBD knows', async (t) => {
  const expected = {
    EPERM: 1,
    EROFS: 1,
    EACCES: 1,
    EIO: 5,
    ENOMEM: 12,
    EINVAL: 22,
    ENOSPC: 28,
    EFBIG: 28,
    EDQUOT: 28,
    EOVERFLOW: 75,
    ENOTSUP: 95,
    EOPNOTSUPP: 95,
    ESHUTDOWN: 5,
    ENOENT: 5,
    ERR_NOT_OWNER: 5,
    ERR_PEER_NOT_OWNER: 108,
    toString: 5,
  };
  for (const [code, number] of Object.entries(expected)) t.equal(toNbdError(new CopseError(foreignErrorCode(code), '')), number, code);
  t.equal(toNbdError(new DeadlineError('read', 1)), 5);
  t.equal(toNbdError('no error at all'), 5);
  t.equal(toNbdError(undefined), 5);
});

t.test('numbers become names, unknown ones EINVAL', async (t) => {
  t.equal(nbdErrorName(28), 'ENOSPC');
  t.equal(nbdErrorName(108), 'ESHUTDOWN');
  t.equal(nbdErrorName(9999), 'EINVAL');
});
