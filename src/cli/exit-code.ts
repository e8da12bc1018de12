/** The exit codes of `copse`, a stable interface (docs/cli.md). */

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

const exitCodeByCode: Record<string, number> = {
  ERR_CONFIG: ExitCode.usage,
  ERR_ADDRESS_REMOTE: ExitCode.usage,
  ERR_ADMIN_TOKEN: ExitCode.usage,
  ERR_ADDRESS: ExitCode.usage,
  ERR_DURATION: ExitCode.usage,
  ERR_SIZE: ExitCode.usage,
  ERR_NAME: ExitCode.usage,
  ERR_URL: ExitCode.usage,
  ERR_OPTION: ExitCode.usage,
  ERR_DIGEST: ExitCode.usage,
  ERR_REQUEST: ExitCode.usage,
  ERR_NO_DAEMON: ExitCode.noDaemon,
  ERR_NO_SUCH_IMAGE: ExitCode.notFound,
  ERR_IMAGE_EXISTS: ExitCode.conflict,
  ERR_IMAGE_IN_USE: ExitCode.conflict,
  ERR_IMAGE_CONFLICT: ExitCode.conflict,
  ERR_NOT_CLUSTERED: ExitCode.conflict,
  ERR_NOT_SHARED: ExitCode.conflict,
  ERR_NO_SUCH_DISK: ExitCode.notFound,
  ERR_NO_SUCH_SNAPSHOT: ExitCode.notFound,
  ERR_DISK_EXISTS: ExitCode.conflict,
  ERR_DISK_IN_USE: ExitCode.conflict,
  ERR_DISK_INCOMPLETE: ExitCode.conflict,
  ERR_DISK_LOSS: ExitCode.conflict,
  ERR_DATA_LOST: ExitCode.conflict,
  ERR_HANDOVER_EXPLICIT: ExitCode.conflict,
  ERR_NOT_OWNER: ExitCode.conflict,
  ERR_OWNER_UNREACHABLE: ExitCode.conflict,
  ERR_NOT_YET: ExitCode.conflict,
  ERR_EPOCH: ExitCode.conflict,
  ERR_DISK_OPEN: ExitCode.conflict,
  ERR_FILES_GONE: ExitCode.conflict,
  ERR_BUSY: ExitCode.conflict,
  ERR_SNAPSHOT_EXISTS: ExitCode.conflict,
  ERR_FILE_EXISTS: ExitCode.conflict,
  ERR_NO_SUCH_DOMAIN: ExitCode.notFound,
  ERR_NO_SUCH_EXPORT: ExitCode.notFound,
  ERR_DISK_NOT_ATTACHED: ExitCode.notFound,
  ERR_DISK_ATTACHED: ExitCode.conflict,
  ERR_EXPORT_NAMED: ExitCode.conflict,
  ERR_DOMAIN_STATE: ExitCode.conflict,
  ERR_TARGET_AMBIGUOUS: ExitCode.usage,
  ERR_TARGET_TAKEN: ExitCode.conflict,
  ERR_NO_LISTENER: ExitCode.conflict,
  ERR_OUTPUT: ExitCode.noSpace,
  ENOSPC: ExitCode.noSpace,
};

/** @param code the stable code of an error */
export function exitCodeOf(code: string): number {
  return exitCodeByCode[code] ?? ExitCode.failed;
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
