/**
 * HTTP status of the admin API's answer to an error. The body has the code, so clients never map a
 * status back.
 */
import { presentationOf } from '../base/error-code.js';

/** @param code stable code of an error */
export function httpStatusOf(code: string): number {
  return presentationOf(code).httpStatus;
}
