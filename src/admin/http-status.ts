/** Which HTTP status stands for which error code; the other direction is not needed, the body holds the code. */

const statusByCode: Record<string, number> = {
  ERR_NO_SUCH_IMAGE: 404,
  ERR_IMAGE_EXISTS: 409,
  ERR_IMAGE_IN_USE: 409,
  ERR_IMAGE_CONFLICT: 409,
  ERR_NOT_SHARED: 409,
  ERR_NOT_CLUSTERED: 409,
  ERR_SIZE: 400,
  ERR_NAME: 400,
  ERR_URL: 400,
  ERR_OPTION: 400,
  ERR_DIGEST: 400,
  ERR_ORIGIN_CHANGED: 502,
  ERR_ORIGIN_REFUSED: 502,
  ERR_ORIGIN_PROTOCOL: 502,
  ERR_ORIGIN_UNAVAILABLE: 502,
  ERR_FORMAT: 502,
  ERR_MANIFEST: 502,
  ERR_DIGEST_MISMATCH: 502,
  ERR_ETCD_REFUSED: 502,
  ERR_DEADLINE: 502,
  ERR_NOT_SUPPORTED: 501,
  ERR_ETCD_UNAVAILABLE: 503,
};

export function httpStatusOf(code: string): number {
  return statusByCode[code] ?? 500;
}
