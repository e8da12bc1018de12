/**
 * Exit codes of `copse`, a stable interface (docs/reference/command-line.md). The kind of an error
 * decides its exit code.
 */
import { presentationOf } from '../base/error-code.js';

export const ExitCode = {
  ok: 0,
  failed: 1,
  usage: 2,
  noDaemon: 3,
  notFound: 4,
  conflict: 5,
  damaged: 6,
  noSpace: 7,
  hungUp: 129,
  interrupted: 130,
  readerGone: 141,
  terminated: 143,
} as const;

/** @param code the stable code of an error */
export function exitCodeOf(code: string): number {
  return presentationOf(code).exitCode;
}

/** For `copse --help`. */
export const exitCodeHelp = `Exit codes:
  0    done
  1    the operation failed
  2    wrong usage or configuration
  3    no daemon answers
  4    there is no such image, disk, snapshot or domain, or the domain does not have the disk
  5    what is there stands against it: the image, disk or file is in use or exists, another node owns the disk or changed the image,
       its blocks are on a node that does not answer, or would be lost; a failed sync lost data of it; the node is in no cluster, or the image not shared;
       the domain has the disk or target already, or is not in the state that is asked for; domains name what is to go (--yes)
  6    verify found damaged chunks; they were dropped and will be fetched again
  7    no space left on the daemon's disk; or a result or file can't be written
  129  a job was ended by SIGHUP; 130 by SIGINT; 141 because nobody reads its progress any more; 143 by SIGTERM`;
