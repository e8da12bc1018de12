/*
 * Preloaded into a process whose syncs are to wait or to fail. Of a file PATH that is synced by fdatasync: each call adds a byte to PATH.count; while PATH.hold exists the
 * call waits, and makes PATH.held to say so; while PATH.fail exists it fails with EIO.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int is_there(const char *path, const char *suffix) {
  char name[4200];
  snprintf(name, sizeof(name), "%s%s", path, suffix);
  return access(name, F_OK) == 0;
}

static void append(const char *path, const char *suffix) {
  char name[4200];
  snprintf(name, sizeof(name), "%s%s", path, suffix);
  const int fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0 || write(fd, ".", 1) != 1) _exit(97);
  close(fd);
}

int fdatasync(int fd) {
  static int (*real)(int);
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  char link[64], path[4096];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof(path) - 1);
  if (length <= 0) return real(fd);
  path[length] = '\0';
  append(path, ".count");
  if (is_there(path, ".hold")) append(path, ".held");
  while (is_there(path, ".hold")) usleep(1000);
  if (!is_there(path, ".fail")) return real(fd);
  errno = EIO;
  return -1;
}
