/** Which HTTP status stands for which error code; the other direction is not needed, the body holds the code. */

const statusByCode: Record<string, number> = {
  ERR_NO_SUCH_IMAGE: 404,
  ERR_IMAGE_EXISTS: 409,
  ERR_IMAGE_IN_USE: 409,
  ERR_SIZE: 400,
  ERR_NAME: 400,
  ERR_URL: 400,
  ERR_OPTION: 400,
  ERR_ORIGIN_CHANGED: 502,
  ERR_ORIGIN_REFUSED: 502,
  ERR_ORIGIN_PROTOCOL: 502,
  ERR_ORIGIN_UNAVAILABLE: 502,
  ERR_FORMAT: 502,
  ERR_DEADLINE: 502,
};

export function httpStatusOf(code: string): number {
  return statusByCode[code] ?? 500;
}
