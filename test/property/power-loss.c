/*
 * Preloaded into a process whose power is to fail: logs what it changes in two files, with contents, in the order in which it happens.
 *
 * Environment: POWER_LOSS_LOG, the log, appended to; POWER_LOSS_FILES, paths divided by colons, as /proc/self/fd shows them.
 * A record is a header and, at a beginning, the bytes that are written. What was begun may be on the disk from then on; what had ended before a sync began is on the
 * disk when that sync has ended.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* As test/property/disk-log.ts has them. */
enum { kWrite = 1, kFallocate = 2, kTruncate = 3, kSync = 4, kEnd = 5 };

struct header {
  uint32_t kind;
  /* Index of the file, from 0. */
  uint32_t file;
  /* Numbers what is begun; its end has the same. */
  uint64_t token;
  uint64_t offset;
  /* Of what is written, and of the payload that follows; of fallocate the range; of an end the result, as a signed number. */
  uint64_t length;
  /* RWF_ flags of a write, mode of fallocate. */
  uint64_t flags;
};

static int log_fd = -1;
static char files[8][4096];
static int file_count;
static uint64_t next_token = 1;

__attribute__((constructor)) static void begin(void) {
  const char *log = getenv("POWER_LOSS_LOG");
  const char *paths = getenv("POWER_LOSS_FILES");
  if (log == NULL || paths == NULL) return;
  log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  while (*paths != '\0' && file_count < 8) {
    const size_t length = strcspn(paths, ":");
    if (length < sizeof(files[0])) memcpy(files[file_count++], paths, length);
    paths += length + (paths[length] == ':');
  }
}

static int file_of(int fd) {
  if (log_fd < 0) return -1;
  const int saved = errno;
  char link[64], path[4096];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  const long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof(path) - 1);
  errno = saved;
  if (length <= 0) return -1;
  path[length] = '\0';
  for (int index = 0; index < file_count; index += 1)
    if (strcmp(path, files[index]) == 0) return index;
  return -1;
}

static void note(const struct header *header, const struct iovec *parts, int count) {
  const int saved = errno;
  struct iovec all[1025];
  all[0] = (struct iovec){(void *)header, sizeof(*header)};
  size_t size = sizeof(*header);
  for (int index = 0; index < count; index += 1) {
    all[index + 1] = parts[index];
    size += parts[index].iov_len;
  }
  /* One call, so that records of threads don't mix. */
  if (syscall(SYS_writev, log_fd, all, count + 1) != (long)size) {
    static const char trouble[] = "power-loss: cannot log\n";
    syscall(SYS_write, 2, trouble, sizeof(trouble) - 1);
    _exit(97);
  }
  errno = saved;
}

static uint64_t note_begin(uint32_t kind, int file, uint64_t offset, uint64_t length, uint64_t flags, const struct iovec *parts, int count) {
  struct header header = {kind, (uint32_t)file, __atomic_fetch_add(&next_token, 1, __ATOMIC_RELAXED), offset, length, flags};
  note(&header, parts, count);
  return header.token;
}

static void note_end(int file, uint64_t token, int64_t result) {
  const struct header header = {kEnd, (uint32_t)file, token, 0, (uint64_t)result, 0};
  note(&header, NULL, 0);
}

static uint64_t total(const struct iovec *parts, int count) {
  uint64_t size = 0;
  for (int index = 0; index < count; index += 1) size += parts[index].iov_len;
  return size;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define PWRITE(name)                                                                 \
  ssize_t name(int fd, const void *bytes, size_t size, off_t offset) {               \
    static __typeof__(&name) real;                                                   \
    if (real == NULL) real = REAL(name);                                             \
    const int file = file_of(fd);                                                    \
    if (file < 0) return real(fd, bytes, size, offset);                              \
    const struct iovec part = {(void *)bytes, size};                                 \
    const uint64_t token = note_begin(kWrite, file, (uint64_t)offset, size, 0, &part, 1); \
    const ssize_t result = real(fd, bytes, size, offset);                            \
    note_end(file, token, result);                                                   \
    return result;                                                                   \
  }
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(name)                                                                \
  ssize_t name(int fd, const struct iovec *parts, int count, off_t offset) {         \
    static __typeof__(&name) real;                                                   \
    if (real == NULL) real = REAL(name);                                             \
    const int file = file_of(fd);                                                    \
    if (file < 0) return real(fd, parts, count, offset);                             \
    const uint64_t token = note_begin(kWrite, file, (uint64_t)offset, total(parts, count), 0, parts, count); \
    const ssize_t result = real(fd, parts, count, offset);                           \
    note_end(file, token, result);                                                   \
    return result;                                                                   \
  }
PWRITEV(pwritev)
PWRITEV(pwritev64)

#define PWRITEV2(name)                                                               \
  ssize_t name(int fd, const struct iovec *parts, int count, off_t offset, int flags) { \
    static __typeof__(&name) real;                                                   \
    if (real == NULL) real = REAL(name);                                             \
    const int file = file_of(fd);                                                    \
    if (file < 0) return real(fd, parts, count, offset, flags);                      \
    const uint64_t token = note_begin(kWrite, file, (uint64_t)offset, total(parts, count), (uint64_t)flags, parts, count); \
    const ssize_t result = real(fd, parts, count, offset, flags);                    \
    note_end(file, token, result);                                                   \
    return result;                                                                   \
  }
PWRITEV2(pwritev2)
PWRITEV2(pwritev64v2)

#define FALLOCATE(name)                                                              \
  int name(int fd, int mode, off_t offset, off_t length) {                           \
    static __typeof__(&name) real;                                                   \
    if (real == NULL) real = REAL(name);                                             \
    const int file = file_of(fd);                                                    \
    if (file < 0) return real(fd, mode, offset, length);                             \
    const uint64_t token = note_begin(kFallocate, file, (uint64_t)offset, (uint64_t)length, (uint64_t)mode, NULL, 0); \
    const int result = real(fd, mode, offset, length);                               \
    note_end(file, token, result);                                                   \
    return result;                                                                   \
  }
FALLOCATE(fallocate)
FALLOCATE(fallocate64)

#define TRUNCATE(name)                                                               \
  int name(int fd, off_t length) {                                                   \
    static __typeof__(&name) real;                                                   \
    if (real == NULL) real = REAL(name);                                             \
    const int file = file_of(fd);                                                    \
    if (file < 0) return real(fd, length);                                           \
    const uint64_t token = note_begin(kTruncate, file, 0, (uint64_t)length, 0, NULL, 0); \
    const int result = real(fd, length);                                             \
    note_end(file, token, result);                                                   \
    return result;                                                                   \
  }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

#define SYNC(name)                                                                   \
  int name(int fd) {                                                                 \
    static __typeof__(&name) real;                                                   \
    if (real == NULL) real = REAL(name);                                             \
    const int file = file_of(fd);                                                    \
    if (file < 0) return real(fd);                                                   \
    const uint64_t token = note_begin(kSync, file, 0, 0, 0, NULL, 0);                \
    const int result = real(fd);                                                     \
    note_end(file, token, result);                                                   \
    return result;                                                                   \
  }
SYNC(fdatasync)
SYNC(fsync)
